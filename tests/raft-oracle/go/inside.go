package main

import (
	"reflect"
	"unsafe"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"
)

// place is where a private field is inside its struct.
type place struct {
	offset uintptr
	kind   reflect.Type
}

func placeOf(of reflect.Type, name string) place {
	field, ok := of.FieldByName(name)
	if !ok {
		panic("no field " + name + " in " + of.String())
	}
	return place{field.Offset, field.Type}
}

func at[T any](base unsafe.Pointer, p place) *T {
	return (*T)(unsafe.Add(base, p.offset))
}

// Where the private numbers are. The module pins the version of the library, so the names stay.
var (
	rawType      = reflect.TypeOf(raft.RawNode{})
	rawRaft      = placeOf(rawType, "raft")
	raftType     = rawRaft.kind.Elem()
	fTimeout     = placeOf(raftType, "randomizedElectionTimeout")
	fElapsed     = placeOf(raftType, "electionElapsed")
	fHeartbeat   = placeOf(raftType, "heartbeatElapsed")
	fTransferee  = placeOf(raftType, "leadTransferee")
	fPending     = placeOf(raftType, "pendingConfIndex")
	fUncommitted = placeOf(raftType, "uncommittedSize")
	fAfterAppend = placeOf(raftType, "msgsAfterAppend")
	fReadOnly    = placeOf(raftType, "readOnly")
	fEarlyReads  = placeOf(raftType, "pendingReadIndexMessages")
	fTracker     = placeOf(raftType, "trk")
	fLog         = placeOf(raftType, "raftLog")
	logType      = fLog.kind.Elem()
	fCommitted   = placeOf(logType, "committed")
	fApplying    = placeOf(logType, "applying")
	fApplied     = placeOf(logType, "applied")
	fUnstable    = placeOf(logType, "unstable")
	fOffset      = placeOf(fUnstable.kind, "offset")
	fInProgress  = placeOf(fUnstable.kind, "offsetInProgress")
	fEntries     = placeOf(fUnstable.kind, "entries")
	fSnapshot    = placeOf(fUnstable.kind, "snapshot")
	readType     = fReadOnly.kind.Elem()
	fUnconfirmed = placeOf(readType, "unconfirmedReads")
	progressType = reflect.TypeOf(tracker.Progress{})
	fSentCommit  = placeOf(progressType, "sentCommit")
	flightType   = reflect.TypeOf(tracker.Inflights{})
	fFlightBytes = placeOf(flightType, "bytes")
)

// inside reads and sets what the library keeps to itself.
type inside struct {
	raft, log unsafe.Pointer
}

func insideOf(node *raft.RawNode) inside {
	r := *at[unsafe.Pointer](unsafe.Pointer(node), rawRaft)
	return inside{raft: r, log: *at[unsafe.Pointer](r, fLog)}
}

func (in inside) setElectionTimeout(ticks int) { *at[int](in.raft, fTimeout) = ticks }
func (in inside) electionElapsed() int         { return *at[int](in.raft, fElapsed) }
func (in inside) heartbeatElapsed() int        { return *at[int](in.raft, fHeartbeat) }
func (in inside) transferee() uint64           { return *at[uint64](in.raft, fTransferee) }
func (in inside) pendingConfIndex() uint64     { return *at[uint64](in.raft, fPending) }
func (in inside) uncommitted() uint64          { return *at[uint64](in.raft, fUncommitted) }
func (in inside) committed() uint64            { return *at[uint64](in.log, fCommitted) }
func (in inside) applying() uint64             { return *at[uint64](in.log, fApplying) }
func (in inside) applied() uint64              { return *at[uint64](in.log, fApplied) }
func (in inside) earlyReads() int              { return len(*at[[]*pb.Message](in.raft, fEarlyReads)) }
func (in inside) tracker() *tracker.ProgressTracker {
	return at[tracker.ProgressTracker](in.raft, fTracker)
}

func (in inside) unstable() unsafe.Pointer { return unsafe.Add(in.log, fUnstable.offset) }

func (in inside) offset() uint64           { return *at[uint64](in.unstable(), fOffset) }
func (in inside) offsetInProgress() uint64 { return *at[uint64](in.unstable(), fInProgress) }
func (in inside) entries() []*pb.Entry     { return *at[[]*pb.Entry](in.unstable(), fEntries) }
func (in inside) snapshot() *pb.Snapshot   { return *at[*pb.Snapshot](in.unstable(), fSnapshot) }

func (in inside) unconfirmedReads() int {
	reads := *at[unsafe.Pointer](in.raft, fReadOnly)
	// The length of a slice does not depend on what is in it.
	return len(*at[[]unsafe.Pointer](reads, fUnconfirmed))
}

// mergeOwn leaves one acknowledgement of a leader to itself where several follow each other, and writes the kind of
// every entry: the two differences in form that the comparison takes out.
func (in inside) mergeOwn(id uint64) {
	for _, entry := range in.entries() {
		if entry.Type == nil {
			entry.Type = pb.EntryNormal.Enum()
		}
	}
	waiting := at[[]*pb.Message](in.raft, fAfterAppend)
	merged := (*waiting)[:0]
	for _, m := range *waiting {
		if n := len(merged); n > 0 && m.GetType() == pb.MsgAppResp && m.GetTo() == id {
			last := merged[n-1]
			if last.GetType() == pb.MsgAppResp && last.GetTo() == id && last.GetTerm() == m.GetTerm() {
				merged[n-1] = m
				continue
			}
		}
		merged = append(merged, m)
	}
	*waiting = merged
}

func sentCommit(progress *tracker.Progress) uint64 {
	return *at[uint64](unsafe.Pointer(progress), fSentCommit)
}

func flightBytes(inflights *tracker.Inflights) uint64 {
	return *at[uint64](unsafe.Pointer(inflights), fFlightBytes)
}
