package main

import (
	"fmt"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

func (t *transcript) compact(revision int64, physical bool) {
	ctx, cancel := requestContext()
	defer cancel()
	response, err := t.kv.Compact(ctx, &pb.CompactionRequest{Revision: revision, Physical: physical})
	t.report(fmt.Sprintf("compact at %d, physical %t", revision, physical), response, err)
}

func (t *transcript) compactions() {
	t.hash(0)
	t.hash(5)
	t.compact(1000, false)
	t.compact(6, true)
	t.compact(6, true)
	t.compact(5, false)
	t.compact(-1, false)
	t.compact(8, false)
	t.get("below the compacted revision", &pb.RangeRequest{Key: []byte("a"), Revision: 7})
	t.get("at the compacted revision", &pb.RangeRequest{Key: []byte("a"), RangeEnd: []byte("q"), KeysOnly: true, Revision: 8})
	t.txn("read below the compacted revision", &pb.TxnRequest{Success: []*pb.RequestOp{
		opPut("t/8", "1"),
		{Request: &pb.RequestOp_RequestRange{RequestRange: &pb.RangeRequest{Key: []byte("a"), Revision: 7}}},
	}})
	t.compact(12, true)
	for _, revision := range []int64{0, 1, 11, 12, 13, 16, 1000} {
		t.hash(revision)
	}
}

func (t *transcript) hash(revision int64) {
	ctx, cancel := requestContext()
	defer cancel()
	response, err := t.upkeep.HashKV(ctx, &pb.HashKVRequest{Revision: revision})
	t.report(fmt.Sprint("hash at revision ", revision), response, err)
}

func (t *transcript) clusterAndUpkeep() {
	ctx, cancel := requestContext()
	defer cancel()
	state, err := t.upkeep.Status(ctx, &pb.StatusRequest{})
	if err == nil {
		if state.Leader != state.Header.MemberId || state.DbSize <= 0 || state.DbSizeInUse > state.DbSize {
			fmt.Println("status: wrong leader or sizes")
		}
		state.Leader, state.DbSize, state.DbSizeInUse = 0, 0, 0 // sizes depend on when commits happen
	}
	t.report("status", state, err)
	for _, linearizable := range []bool{false, true} {
		members, err := t.cluster.MemberList(ctx, &pb.MemberListRequest{Linearizable: linearizable})
		if err == nil {
			for _, member := range members.Members {
				if member.ID != members.Header.MemberId || len(member.PeerURLs) != 1 {
					fmt.Println("member list: another member, or peer URLs")
				}
				member.ID, member.PeerURLs = 0, nil
			}
		}
		t.report(fmt.Sprint("member list, linearizable ", linearizable), members, err)
	}
}
