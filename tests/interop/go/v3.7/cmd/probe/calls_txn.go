package main

import (
	"fmt"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

func opRange(key, end string) *pb.RequestOp {
	return &pb.RequestOp{Request: &pb.RequestOp_RequestRange{
		RequestRange: &pb.RangeRequest{Key: []byte(key), RangeEnd: []byte(end)},
	}}
}

func opPut(key, value string) *pb.RequestOp {
	return &pb.RequestOp{Request: &pb.RequestOp_RequestPut{
		RequestPut: &pb.PutRequest{Key: []byte(key), Value: []byte(value)},
	}}
}

func opDelete(key, end string) *pb.RequestOp {
	return &pb.RequestOp{Request: &pb.RequestOp_RequestDeleteRange{
		RequestDeleteRange: &pb.DeleteRangeRequest{Key: []byte(key), RangeEnd: []byte(end)},
	}}
}

func (t *transcript) txn(heading string, request *pb.TxnRequest) {
	ctx, cancel := requestContext()
	defer cancel()
	response, err := t.kv.Txn(ctx, request)
	t.report("txn "+heading, response, err)
}

// compare shows which branch was taken.
func (t *transcript) compare(heading string, compares ...*pb.Compare) {
	t.txn("compare "+heading, &pb.TxnRequest{
		Compare: compares,
		Success: []*pb.RequestOp{opRange("a", "")},
		Failure: []*pb.RequestOp{opRange("b", "")},
	})
}

func (t *transcript) txns() {
	t.txn("empty", &pb.TxnRequest{})
	t.compares()
	t.txn("write and read own write", &pb.TxnRequest{Success: []*pb.RequestOp{
		opPut("t/1", "one"), opRange("t/", "t0"), opPut("t/2", "two"), opRange("t/", "t0"),
	}})
	t.get("after a transaction", &pb.RangeRequest{Key: []byte("t/"), RangeEnd: []byte("t0")})
	t.txn("delete and put of different keys", &pb.TxnRequest{Success: []*pb.RequestOp{
		opDelete("t/1", ""), opPut("t/3", "three"), opRange("t/", "t0"),
	}})
	t.txn("only reads", &pb.TxnRequest{Success: []*pb.RequestOp{opRange("a", ""), opRange("nosuch", "")}})
	t.txn("key put twice", &pb.TxnRequest{Success: []*pb.RequestOp{opPut("t/4", "1"), opPut("t/4", "2")}})
	t.txn("key put twice, other branch", &pb.TxnRequest{Failure: []*pb.RequestOp{opPut("t/4", "1"), opPut("t/4", "2")}})
	t.txn("put, then delete of a range over it", &pb.TxnRequest{Success: []*pb.RequestOp{
		opPut("t/4", "1"), opDelete("t/", "t0"),
	}})
	t.txn("same key in two branches", &pb.TxnRequest{
		Success: []*pb.RequestOp{opPut("t/5", "1")}, Failure: []*pb.RequestOp{opPut("t/5", "2")},
	})
	t.txn("delete twice", &pb.TxnRequest{Success: []*pb.RequestOp{opDelete("t/", "t0"), opDelete("t/", "t0")}})
	t.txn("operation without a request", &pb.TxnRequest{Success: []*pb.RequestOp{{}}})
	t.txn("put without a key", &pb.TxnRequest{Success: []*pb.RequestOp{opPut("", "v")}})
	t.txn("range without a key", &pb.TxnRequest{Success: []*pb.RequestOp{opRange("", "")}})
	t.txn("compare without a key", &pb.TxnRequest{Compare: []*pb.Compare{{Target: pb.Compare_VERSION}}})
	t.txn("put with a lease that does not exist", &pb.TxnRequest{Success: []*pb.RequestOp{
		opPut("t/6", "1"),
		{Request: &pb.RequestOp_RequestPut{RequestPut: &pb.PutRequest{Key: []byte("t/7"), Lease: 7}}},
	}})
	t.txn("read at a future revision", &pb.TxnRequest{Success: []*pb.RequestOp{
		opPut("t/6", "1"),
		{Request: &pb.RequestOp_RequestRange{RequestRange: &pb.RangeRequest{Key: []byte("a"), Revision: 1000}}},
	}})
	t.get("after failed transactions", &pb.RangeRequest{Key: []byte("t/"), RangeEnd: []byte("t0")})
	for _, count := range []int{128, 129} {
		request := &pb.TxnRequest{}
		for index := range count {
			request.Success = append(request.Success, opPut(fmt.Sprintf("many/%d", index), "v"))
		}
		t.txn(fmt.Sprint("of many operations: ", count), request)
	}
	t.remove("what a transaction wrote", &pb.DeleteRangeRequest{Key: []byte("many/"), RangeEnd: []byte("many0")})
}

func (t *transcript) compares() {
	key := []byte("a")
	for result := range int32(4) {
		r := pb.Compare_CompareResult(result)
		for value := int64(0); value < 10; value += 3 {
			t.compare(fmt.Sprint("version ", r, value), &pb.Compare{Key: key, Result: r,
				Target: pb.Compare_VERSION, TargetUnion: &pb.Compare_Version{Version: value}})
			t.compare(fmt.Sprint("create revision ", r, value), &pb.Compare{Key: key, Result: r,
				Target: pb.Compare_CREATE, TargetUnion: &pb.Compare_CreateRevision{CreateRevision: value}})
			t.compare(fmt.Sprint("mod revision ", r, value), &pb.Compare{Key: key, Result: r,
				Target: pb.Compare_MOD, TargetUnion: &pb.Compare_ModRevision{ModRevision: value}})
			t.compare(fmt.Sprint("lease ", r, value), &pb.Compare{Key: key, Result: r,
				Target: pb.Compare_LEASE, TargetUnion: &pb.Compare_Lease{Lease: value}})
			t.compare(fmt.Sprint("value ", r, value), &pb.Compare{Key: key, Result: r,
				Target: pb.Compare_VALUE, TargetUnion: &pb.Compare_Value{Value: fmt.Append(nil, value)}})
		}
		t.compare(fmt.Sprint("version of no key ", r), &pb.Compare{Key: []byte("nosuch"), Result: r,
			Target: pb.Compare_VERSION, TargetUnion: &pb.Compare_Version{Version: 0}})
		t.compare(fmt.Sprint("value of no key ", r), &pb.Compare{Key: []byte("nosuch"), Result: r,
			Target: pb.Compare_VALUE, TargetUnion: &pb.Compare_Value{Value: []byte("v")}})
		t.compare(fmt.Sprint("versions of a range ", r), &pb.Compare{Key: []byte("p/"), RangeEnd: []byte("p0"), Result: r,
			Target: pb.Compare_VERSION, TargetUnion: &pb.Compare_Version{Version: 1}})
		t.compare(fmt.Sprint("versions of an empty range ", r), &pb.Compare{Key: []byte("x"), RangeEnd: []byte("y"), Result: r,
			Target: pb.Compare_VERSION, TargetUnion: &pb.Compare_Version{Version: 1}})
	}
	t.compare("of two, one wrong",
		&pb.Compare{Key: key, Target: pb.Compare_LEASE, TargetUnion: &pb.Compare_Lease{}},
		&pb.Compare{Key: key, Target: pb.Compare_VERSION, TargetUnion: &pb.Compare_Version{Version: 99}})
	t.compare("without a value", &pb.Compare{Key: key, Target: pb.Compare_MOD, Result: pb.Compare_GREATER})
}
