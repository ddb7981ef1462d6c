// Command oracle drives go.etcd.io/raft/v3 by commands, one a line, and answers each with the state afterwards.
// The protocol is in README.md.
package main

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"log"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// slot is one member: the library over a disk in memory, and what is under way.
type slot struct {
	id      uint64
	config  raft.Config
	storage *raft.MemoryStorage
	raw     *raft.RawNode
	in      inside
	appends []*pb.Message
	applies []*pb.Message
	// The configuration after each applied change.
	states map[uint64]*pb.ConfState
	dead   bool
}

var slots = map[uint64]*slot{}

func main() {
	if len(os.Args) == 4 && os.Args[1] == "bench" {
		bench(os.Args[2:])
		return
	}
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	out := bufio.NewWriterSize(os.Stdout, 1<<20)
	for {
		line, err := in.ReadString('\n')
		if err == io.EOF {
			out.Flush()
			return
		}
		if err != nil {
			log.Fatal(err)
		}
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		out.WriteString(answer(fields[0], parse(fields[1:])))
		out.WriteByte('\n')
		if in.Buffered() == 0 {
			out.Flush()
		}
	}
}

type arguments map[string]string

func parse(fields []string) arguments {
	args := arguments{}
	for _, field := range fields {
		name, value, _ := strings.Cut(field, "=")
		args[name] = value
	}
	return args
}

func (args arguments) number(name string) uint64 {
	number, err := strconv.ParseUint(args[name], 10, 64)
	if err != nil {
		fatal("argument %s=%q", name, args[name])
	}
	return number
}

func (args arguments) bytes(name string) []byte {
	bytes, err := hex.DecodeString(args[name])
	if err != nil {
		fatal("argument %s: %v", name, err)
	}
	return bytes
}

func (args arguments) ids(name string) []uint64 {
	if args[name] == "-" {
		return nil
	}
	var ids []uint64
	for _, part := range strings.Split(args[name], ",") {
		id, err := strconv.ParseUint(part, 10, 64)
		if err != nil {
			fatal("argument %s=%q", name, args[name])
		}
		ids = append(ids, id)
	}
	return ids
}

func fatal(format string, values ...any) {
	fmt.Printf("fatal: "+format+"\n", values...)
	os.Exit(2)
}

func answer(command string, args arguments) (result string) {
	id := args.number("n")
	if command == "new" {
		slots[id] = newSlot(args)
	}
	slot := slots[id]
	if slot == nil {
		fatal("no member %d", id)
	}
	if slot.dead && command != "new" && command != "restart" {
		return "dead"
	}
	defer func() {
		if failure := recover(); failure != nil {
			slot.dead = true
			result = strings.ReplaceAll(fmt.Sprintf("panic: %v", failure), "\n", " ")
		}
	}()
	var out text
	err := slot.do(command, args, &out)
	slot.in.mergeOwn(slot.id)
	slot.in.setElectionTimeout(int(args.number("rt")))
	var t text
	switch {
	case err != nil:
		t.s("err=", strings.ReplaceAll(err.Error(), " ", "_"))
	default:
		t.s("ok")
	}
	t.s(" ")
	t.state(slot)
	t.s(out.String())
	return t.String()
}

func newSlot(args arguments) *slot {
	slot := &slot{
		id:      args.number("id"),
		storage: raft.NewMemoryStorage(),
		states:  map[uint64]*pb.ConfState{},
		config: raft.Config{
			ID:                        args.number("id"),
			ElectionTick:              int(args.number("election")),
			HeartbeatTick:             int(args.number("heartbeat")),
			PreVote:                   args.number("prevote") == 1,
			CheckQuorum:               args.number("checkquorum") == 1,
			MaxSizePerMsg:             args.number("maxsize"),
			MaxCommittedSizePerReady:  args.number("maxcommitted"),
			MaxUncommittedEntriesSize: args.number("maxuncommitted"),
			MaxInflightMsgs:           int(args.number("inflight")),
			MaxInflightBytes:          args.number("inflightbytes"),
			AsyncStorageWrites:        args.number("async") == 1,
			Logger:                    &raft.DefaultLogger{Logger: log.New(io.Discard, "", 0)},
		},
	}
	if slot.config.MaxInflightBytes == 0 {
		slot.config.MaxInflightBytes = math.MaxUint64
	}
	slot.config.Storage = slot.storage
	index, term := args.number("index"), args.number("term")
	state := &pb.ConfState{Voters: args.ids("voters"), Learners: args.ids("learners")}
	slot.states[index] = state
	if index > 0 {
		metadata := &pb.SnapshotMetadata{Index: &index, Term: &term, ConfState: state}
		check(slot.storage.ApplySnapshot(&pb.Snapshot{Data: dataOf(index), Metadata: metadata}))
		check(slot.storage.SetHardState(&pb.HardState{Term: &term, Vote: new(uint64), Commit: &index}))
	} else if len(state.Voters) > 0 {
		// A configuration without a snapshot: the library asks the storage for it.
		slot.config.Storage = &configured{slot.storage, state, slot}
	}
	slot.start()
	return slot
}

// configured is a storage whose log begins at its first entry and whose members are known all the same.
type configured struct {
	*raft.MemoryStorage
	state *pb.ConfState
	slot  *slot
}

func (c *configured) InitialState() (*pb.HardState, *pb.ConfState, error) {
	hardState, state, err := c.MemoryStorage.InitialState()
	snapshot, _ := c.MemoryStorage.Snapshot()
	if snapshot.GetMetadata().GetIndex() == 0 {
		state = c.state
	}
	return hardState, state, err
}

func dataOf(index uint64) []byte {
	return binary.LittleEndian.AppendUint64(nil, index)
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func (slot *slot) start() {
	raw, err := raft.NewRawNode(&slot.config)
	check(err)
	slot.raw, slot.in = raw, insideOf(raw)
	slot.appends, slot.applies, slot.dead = nil, nil, false
}

// ends are the last index and term of the log, and its first index.
func (slot *slot) ends() (lastIndex, lastTerm, firstIndex uint64) {
	first, err := slot.storage.FirstIndex()
	check(err)
	snapshot := slot.in.snapshot()
	if snapshot != nil {
		first = snapshot.GetMetadata().GetIndex() + 1
	}
	if entries := slot.in.entries(); len(entries) > 0 {
		last := entries[len(entries)-1]
		return last.GetIndex(), last.GetTerm(), first
	}
	if snapshot != nil {
		return snapshot.GetMetadata().GetIndex(), snapshot.GetMetadata().GetTerm(), first
	}
	last, err := slot.storage.LastIndex()
	check(err)
	term, err := slot.storage.Term(last)
	check(err)
	return last, term, first
}

func (slot *slot) do(command string, args arguments, out *text) error {
	switch command {
	case "new":
	case "restart":
		slot.config.Applied = args.number("applied")
		slot.start()
	case "tick":
		slot.raw.Tick()
	case "campaign":
		return slot.raw.Campaign()
	case "propose":
		return slot.raw.Propose(args.bytes("data"))
	case "confchange":
		change := &pb.ConfChange{}
		if err := proto.Unmarshal(args.bytes("v1"), change); err != nil {
			return err
		}
		return slot.raw.ProposeConfChange(change)
	case "step":
		message := &pb.Message{}
		if err := proto.Unmarshal(args.bytes("m"), message); err != nil {
			return err
		}
		return slot.raw.Step(message)
	case "readindex":
		slot.raw.ReadIndex(args.bytes("ctx"))
	case "transfer":
		slot.raw.TransferLeader(args.number("to"))
	case "unreachable":
		slot.raw.ReportUnreachable(args.number("to"))
	case "snapstatus":
		status := raft.SnapshotFailure
		if args.number("ok") == 1 {
			status = raft.SnapshotFinish
		}
		slot.raw.ReportSnapshot(args.number("to"), status)
	case "ready":
		slot.ready(out, args.number("sort") == 1)
	case "persist":
		slot.persist(out)
	case "apply":
		slot.apply(out)
	case "sync":
		slot.sync(out, args.number("sort") == 1)
	case "compact":
		return slot.compact(args.number("index"))
	default:
		fatal("command %q", command)
	}
	return nil
}

// ready takes everything that is new.
func (slot *slot) ready(out *text, sort bool) {
	if !slot.raw.HasReady() {
		return
	}
	ready := slot.raw.Ready()
	var messages []*pb.Message
	for _, m := range ready.Messages {
		switch m.GetTo() {
		case raft.LocalAppendThread:
			slot.appends = append(slot.appends, m)
			if !raft.IsEmptyHardState(ready.HardState) {
				hs := ready.HardState
				out.n(" hs=", hs.GetTerm())
				out.n("/", hs.GetVote())
				out.n("/", hs.GetCommit())
			}
			if len(ready.Entries) > 0 {
				out.entries(" ents=", ready.Entries)
			}
			if !raft.IsEmptySnap(ready.Snapshot) {
				out.s(" snap=")
				out.snapshot(ready.Snapshot)
			}
			out.messages("resp", votes(m.GetResponses()))
		case raft.LocalApplyThread:
			slot.applies = append(slot.applies, m)
		default:
			messages = append(messages, m)
		}
	}
	if len(ready.CommittedEntries) > 0 {
		out.entries(" com=", ready.CommittedEntries)
	}
	reads(out, ready.ReadStates)
	out.messages("msgs", sorted(messages, sort))
}

// sorted puts messages in the order of their receivers and kinds, if asked to: ours may send one member's entries
// later than other messages, when they come from the disk.
func sorted(messages []*pb.Message, sort bool) []*pb.Message {
	if sort {
		slices.SortStableFunc(messages, func(a, b *pb.Message) int {
			return cmp.Or(cmp.Compare(a.GetTo(), b.GetTo()), cmp.Compare(a.GetType(), b.GetType()))
		})
	}
	return messages
}

// votes are the responses but the one that reports the append itself.
func votes(responses []*pb.Message) []*pb.Message {
	var votes []*pb.Message
	for _, m := range responses {
		if m.GetType() != pb.MsgStorageAppendResp {
			votes = append(votes, m)
		}
	}
	return votes
}

func reads(out *text, states []raft.ReadState) {
	for _, state := range states {
		out.n(" read=", state.Index)
		out.s("/", hex.EncodeToString(state.RequestCtx))
	}
}

// persist completes the oldest append.
func (slot *slot) persist(out *text) {
	m := slot.appends[0]
	slot.appends = slot.appends[1:]
	hardState := &pb.HardState{Term: m.Term, Vote: m.Vote, Commit: m.Commit}
	slot.save(hardState, m.GetEntries(), m.GetSnapshot())
	var others []*pb.Message
	for _, response := range m.GetResponses() {
		if response.GetTo() == slot.id {
			_ = slot.raw.Step(response)
		} else {
			others = append(others, response)
		}
	}
	out.messages("msgs", others)
}

func (slot *slot) save(hardState *pb.HardState, entries []*pb.Entry, snapshot *pb.Snapshot) {
	if !raft.IsEmptySnap(snapshot) {
		check(slot.storage.ApplySnapshot(snapshot))
		slot.states[snapshot.GetMetadata().GetIndex()] = snapshot.GetMetadata().GetConfState()
	}
	check(slot.storage.Append(entries))
	if !raft.IsEmptyHardState(hardState) {
		check(slot.storage.SetHardState(hardState))
	}
}

// apply completes the oldest batch on its way to the state machine.
func (slot *slot) apply(out *text) {
	m := slot.applies[0]
	slot.applies = slot.applies[1:]
	slot.applyEntries(m.GetEntries(), func(state *pb.ConfState) {
		out.s(" cs=")
		out.configuration(state)
	})
	for _, response := range m.GetResponses() {
		_ = slot.raw.Step(response)
	}
}

func (slot *slot) applyEntries(entries []*pb.Entry, changed func(*pb.ConfState)) {
	for _, entry := range entries {
		if entry.GetType() != pb.EntryConfChange {
			continue
		}
		change := &pb.ConfChange{}
		check(proto.Unmarshal(entry.GetData(), change))
		state := slot.raw.ApplyConfChange(change)
		slot.states[entry.GetIndex()] = state
		changed(state)
	}
}

// sync persists and applies at once until nothing is new.
func (slot *slot) sync(out *text, sort bool) {
	var entries, committed []*pb.Entry
	var messages []*pb.Message
	var states []*pb.ConfState
	var readStates []raft.ReadState
	for slot.raw.HasReady() {
		slot.in.mergeOwn(slot.id)
		ready := slot.raw.Ready()
		slot.save(ready.HardState, ready.Entries, ready.Snapshot)
		entries = append(entries, ready.Entries...)
		messages = append(messages, ready.Messages...)
		committed = append(committed, ready.CommittedEntries...)
		readStates = append(readStates, ready.ReadStates...)
		slot.applyEntries(ready.CommittedEntries, func(state *pb.ConfState) { states = append(states, state) })
		slot.raw.Advance(ready)
	}
	if len(entries) > 0 {
		out.entries(" ents=", entries)
	}
	if len(committed) > 0 {
		out.entries(" com=", committed)
	}
	reads(out, readStates)
	out.messages("msgs", sorted(messages, sort))
	for _, state := range states {
		out.s(" cs=")
		out.configuration(state)
	}
}

// compact makes a snapshot at index and drops the entries up to it.
func (slot *slot) compact(index uint64) error {
	var at uint64
	for known := range slot.states {
		if known <= index && known > at {
			at = known
		}
	}
	if _, err := slot.storage.CreateSnapshot(index, slot.states[at], dataOf(index)); err != nil {
		return err
	}
	// A snapshot goes with a hard state that commits it.
	hardState, _, err := slot.storage.InitialState()
	check(err)
	commit := max(hardState.GetCommit(), index)
	term, vote := hardState.GetTerm(), hardState.GetVote()
	check(slot.storage.SetHardState(&pb.HardState{Term: &term, Vote: &vote, Commit: &commit}))
	return slot.storage.Compact(index)
}
