package main

import (
	"encoding/hex"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"

	pb "go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"
)

// text builds an answer.
type text struct{ strings.Builder }

func (t *text) s(parts ...string) {
	for _, part := range parts {
		t.WriteString(part)
	}
}

func (t *text) n(before string, number uint64) {
	t.WriteString(before)
	var buffer [20]byte
	t.Write(strconv.AppendUint(buffer[:0], number, 10))
}

func (t *text) b(before string, value bool) {
	if value {
		t.n(before, 1)
	} else {
		t.n(before, 0)
	}
}

func (t *text) list(name string, ids []uint64) {
	t.s(name, "(")
	sorted := slices.Clone(ids)
	slices.Sort(sorted)
	for i, id := range sorted {
		if i > 0 {
			t.s(",")
		}
		t.n("", id)
	}
	t.s(")")
}

func (t *text) configuration(state *pb.ConfState) {
	t.list("v", state.GetVoters())
	t.list("l", state.GetLearners())
	if len(state.GetVotersOutgoing()) > 0 || len(state.GetLearnersNext()) > 0 {
		t.list("&", state.GetVotersOutgoing())
		t.list("n", state.GetLearnersNext())
	}
}

func (t *text) entries(name string, entries []*pb.Entry) {
	t.s(name, "[")
	for i, entry := range entries {
		if i > 0 {
			t.s(",")
		}
		t.n("", entry.GetIndex())
		t.n("/", entry.GetTerm())
		t.n("/", uint64(entry.GetType()))
		t.n("/", uint64(len(entry.GetData())))
		hash := fnv.New64a()
		hash.Write(entry.GetData())
		t.s("/", strconv.FormatUint(hash.Sum64(), 16))
	}
	t.s("]")
}

func (t *text) snapshot(snapshot *pb.Snapshot) {
	metadata := snapshot.GetMetadata()
	t.n("", metadata.GetIndex())
	t.n("/", metadata.GetTerm())
	t.s("/")
	t.configuration(metadata.GetConfState())
}

func (t *text) message(m *pb.Message) {
	t.n("", m.GetFrom())
	t.n(">", m.GetTo())
	t.s(":", strings.TrimPrefix(m.GetType().String(), "Msg"))
	t.n(":t", m.GetTerm())
	t.n(":lt", m.GetLogTerm())
	t.n(":i", m.GetIndex())
	t.n(":c", m.GetCommit())
	t.n(":v", m.GetVote())
	t.b(":r", m.GetReject())
	t.n(":h", m.GetRejectHint())
	if len(m.GetContext()) > 0 {
		t.s(":x", hex.EncodeToString(m.GetContext()))
	} else {
		t.s(":x-")
	}
	t.entries(":e", m.GetEntries())
	t.s(":s")
	if m.GetSnapshot() != nil {
		t.snapshot(m.GetSnapshot())
	} else {
		t.s("-")
	}
}

func (t *text) messages(name string, messages []*pb.Message) {
	for _, m := range messages {
		t.s(" ", name, "=")
		t.message(m)
	}
}

// state is one line with the numbers of a member, by the names of the library.
func (t *text) state(slot *slot) {
	in := slot.in
	status := slot.raw.BasicStatus()
	t.n("t=", status.GetTerm())
	t.n(" v=", status.GetVote())
	t.n(" c=", in.committed())
	t.n(" a=", in.applied())
	t.n(" ag=", in.applying())
	t.n(" l=", status.Lead)
	t.s(" s=", [...]string{"F", "C", "L", "P"}[status.RaftState])
	t.n(" ee=", uint64(in.electionElapsed()))
	t.n(" he=", uint64(in.heartbeatElapsed()))
	t.n(" tr=", in.transferee())
	t.n(" pc=", in.pendingConfIndex())
	t.n(" us=", in.uncommitted())
	lastIndex, lastTerm, firstIndex := slot.ends()
	t.n(" li=", lastIndex)
	t.n(" lt=", lastTerm)
	t.n(" fi=", firstIndex)
	t.n(" uo=", in.offset())
	t.n(" up=", in.offsetInProgress())
	t.s(" cf=")
	trk := in.tracker()
	state := trk.ConfState()
	t.configuration(state)
	t.s(" pr=")
	if status.Lead != slot.id || status.RaftState != 2 {
		t.s("-")
		return
	}
	first := true
	trk.Visit(func(id uint64, progress *tracker.Progress) {
		if !first {
			t.s(";")
		}
		first = false
		t.n("", id)
		t.n(":", progress.Match)
		t.n("/", progress.Next)
		t.s("/", [...]string{"P", "R", "S"}[progress.State])
		t.n("/", progress.PendingSnapshot)
		t.b("/", progress.RecentActive)
		t.b("/", progress.MsgAppFlowPaused)
		t.n("/", uint64(progress.Inflights.Count()))
		t.n("/", flightBytes(progress.Inflights))
		t.b("/", progress.IsLearner)
		t.n("/", sentCommit(progress))
	})
	t.n(" ro=", uint64(in.unconfirmedReads()))
	t.n("/", uint64(in.earlyReads()))
}
