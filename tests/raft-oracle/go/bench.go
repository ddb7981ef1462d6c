package main

import (
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"

	"io"
	"log"
	"math"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
)

const (
	entryBytes   = 256
	compactEvery = 10_000
	kept         = 5_000
)

// bench prints the CPU seconds that three members in this process need to commit entries proposed in batches: the same
// loop as in bench/src/consensus.rs, the way etcd's server drives the library.
func bench(arguments []string) {
	batch, err := strconv.ParseUint(arguments[0], 10, 64)
	check(err)
	entries, err := strconv.ParseUint(arguments[1], 10, 64)
	check(err)
	group := newGroup()
	check(group[0].raw.Campaign())
	settle(group)
	before, first := cpuTime(), group[0].applied
	for range entries / batch {
		for range batch {
			data := make([]byte, entryBytes)
			for i := range data {
				data[i] = 7
			}
			check(group[0].raw.Propose(data))
		}
		settle(group)
	}
	seconds := (cpuTime() - before).Seconds()
	if committed := group[0].applied - first; committed != entries/batch*batch {
		fmt.Fprintf(os.Stderr, "%d of %d entries are committed\n", committed, entries)
		os.Exit(1)
	}
	fmt.Println(seconds)
}

func cpuTime() time.Duration {
	var usage syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

type benched struct {
	raw       *raft.RawNode
	storage   *raft.MemoryStorage
	inbox     []*pb.Message
	applied   uint64
	compacted uint64
}

func newGroup() []*benched {
	var group []*benched
	for id := uint64(1); id <= 3; id++ {
		storage := raft.NewMemoryStorage()
		state := &pb.ConfState{Voters: []uint64{1, 2, 3}}
		raw, err := raft.NewRawNode(&raft.Config{
			ID:              id,
			ElectionTick:    10,
			HeartbeatTick:   1,
			PreVote:         true,
			CheckQuorum:     true,
			MaxSizePerMsg:   1 << 20,
			MaxInflightMsgs: 512,
			Storage:         &configured{storage, state, nil},
			Logger:          &raft.DefaultLogger{Logger: log.New(io.Discard, "", 0)},
		})
		check(err)
		group = append(group, &benched{raw: raw, storage: storage, compacted: 0})
	}
	return group
}

func settle(group []*benched) {
	for isNew := true; isNew; {
		isNew = false
		for _, member := range group {
			isNew = member.work(group) || isNew
		}
	}
}

func (member *benched) work(group []*benched) bool {
	isNew := len(member.inbox) > 0
	received := member.inbox
	member.inbox = nil
	for _, m := range received {
		check(member.raw.Step(m))
	}
	for member.raw.HasReady() {
		isNew = true
		ready := member.raw.Ready()
		if !raft.IsEmptyHardState(ready.HardState) {
			check(member.storage.SetHardState(ready.HardState))
		}
		check(member.storage.Append(ready.Entries))
		for _, m := range ready.Messages {
			to := group[m.GetTo()-1]
			to.inbox = append(to.inbox, m)
		}
		if n := len(ready.CommittedEntries); n > 0 {
			member.applied = ready.CommittedEntries[n-1].GetIndex()
			if member.applied > member.compacted+compactEvery && member.applied < math.MaxUint64 {
				member.compacted = member.applied
				check(member.storage.Compact(member.applied - kept))
			}
		}
		member.raw.Advance(ready)
	}
	return isNew
}
