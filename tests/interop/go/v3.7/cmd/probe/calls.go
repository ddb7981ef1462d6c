package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
)

// memberID matches the places of JSON where a member's id stands in answers over HTTP.
var memberID = regexp.MustCompile(`"id":\d+`)

// transcript makes calls without the client library's retries, and prints what each was answered.
type transcript struct {
	connection *grpc.ClientConn
	kv         pb.KVClient
	cluster    pb.ClusterClient
	upkeep     pb.MaintenanceClient
	health     grpc_health_v1.HealthClient
	endpoint   string
}

// calls expects a new, empty server with one member; the order of the calls matters.
func calls(args arguments) error {
	connection, err := grpc.NewClient(args.endpoint,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallSendMsgSize(64<<20), grpc.MaxCallRecvMsgSize(64<<20)))
	if err != nil {
		return err
	}
	defer connection.Close()
	t := &transcript{
		connection: connection,
		kv:         pb.NewKVClient(connection),
		cluster:    pb.NewClusterClient(connection),
		upkeep:     pb.NewMaintenanceClient(connection),
		health:     grpc_health_v1.NewHealthClient(connection),
		endpoint:   args.endpoint,
	}
	t.puts()
	t.ranges()
	t.deletes()
	t.txns()
	t.compactions()
	t.clusterAndUpkeep()
	t.transport()
	return nil
}

// report prints a heading and the answer: the message as JSON, or code and text of the error.
func (t *transcript) report(heading string, message proto.Message, err error) {
	fmt.Println("==", heading)
	if err != nil {
		fmt.Printf("error %s: %s\n", status.Code(err), status.Convert(err).Message())
		return
	}
	fmt.Println(strings.ReplaceAll(t.shown(message), t.endpoint, "<client>"))
}

// shown is the message as JSON on one line, long values cut, the ids of cluster and member left out.
func (t *transcript) shown(message proto.Message) string {
	message = proto.Clone(message)
	if headed, ok := message.(interface{ GetHeader() *pb.ResponseHeader }); ok && headed.GetHeader() != nil {
		header := headed.GetHeader()
		if header.ClusterId == 0 || header.MemberId == 0 {
			return "a header without ids"
		}
		header.ClusterId, header.MemberId = 0, 0
	}
	text, err := protojson.Marshal(message)
	if err != nil {
		return err.Error()
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, text); err != nil {
		return err.Error()
	}
	if compact.Len() > 4000 {
		return fmt.Sprintf("%s... (%d bytes)", compact.String()[:4000], compact.Len())
	}
	return compact.String()
}

func (t *transcript) put(heading string, request *pb.PutRequest) {
	ctx, cancel := requestContext()
	defer cancel()
	response, err := t.kv.Put(ctx, request)
	t.report("put "+heading, response, err)
}

func (t *transcript) puts() {
	t.put("new key", &pb.PutRequest{Key: []byte("a"), Value: []byte("1")})
	t.put("again, previous wanted", &pb.PutRequest{Key: []byte("a"), Value: []byte("2"), PrevKv: true})
	t.put("new key, previous wanted", &pb.PutRequest{Key: []byte("b"), Value: []byte("1"), PrevKv: true})
	t.put("empty value", &pb.PutRequest{Key: []byte("empty")})
	t.put("bytes that are not text", &pb.PutRequest{Key: []byte{0, 0xff, 0x80}, Value: []byte{0xfe, 0}})
	t.put("without a key", &pb.PutRequest{Value: []byte("v")})
	t.put("keep value", &pb.PutRequest{Key: []byte("a"), IgnoreValue: true, PrevKv: true})
	t.put("keep value of no key", &pb.PutRequest{Key: []byte("nosuch"), IgnoreValue: true})
	t.put("keep value and give one", &pb.PutRequest{Key: []byte("a"), Value: []byte("v"), IgnoreValue: true})
	t.put("keep lease", &pb.PutRequest{Key: []byte("a"), Value: []byte("3"), IgnoreLease: true})
	t.put("keep lease of no key", &pb.PutRequest{Key: []byte("nosuch"), Value: []byte("v"), IgnoreLease: true})
	t.put("keep lease and give one", &pb.PutRequest{Key: []byte("a"), Lease: 7, IgnoreLease: true})
	t.put("lease that does not exist", &pb.PutRequest{Key: []byte("a"), Lease: 7})
	t.put("large value", &pb.PutRequest{Key: []byte("large"), Value: make([]byte, 1_570_000)})
	t.put("value over the limit of a request", &pb.PutRequest{Key: []byte("large"), Value: make([]byte, 1_573_000)})
	t.put("value over the limit of a message", &pb.PutRequest{Key: []byte("large"), Value: make([]byte, 2_100_000)})
	for index := range 5 {
		key := fmt.Appendf(nil, "p/%d", index)
		t.put("prefix", &pb.PutRequest{Key: key, Value: fmt.Appendf(nil, "%d", (index*3)%5)})
	}
	t.put("one of the prefix again", &pb.PutRequest{Key: []byte("p/3"), Value: []byte("zz")})
}

func (t *transcript) get(heading string, request *pb.RangeRequest) {
	ctx, cancel := requestContext()
	defer cancel()
	response, err := t.kv.Range(ctx, request)
	t.report("range "+heading, response, err)
}

func (t *transcript) ranges() {
	p, end := []byte("p/"), []byte("p0")
	t.get("one key", &pb.RangeRequest{Key: []byte("a")})
	t.get("no key", &pb.RangeRequest{Key: []byte("nosuch")})
	t.get("without a key", &pb.RangeRequest{})
	t.get("without a key, with an end", &pb.RangeRequest{RangeEnd: []byte("b")})
	t.get("serializable", &pb.RangeRequest{Key: []byte("a"), Serializable: true})
	t.get("prefix", &pb.RangeRequest{Key: p, RangeEnd: end})
	t.get("from key", &pb.RangeRequest{Key: []byte("p/3"), RangeEnd: []byte{0}})
	t.get("all keys, keys only", &pb.RangeRequest{Key: []byte{0}, RangeEnd: []byte{0}, KeysOnly: true})
	t.get("end before start", &pb.RangeRequest{Key: []byte("z"), RangeEnd: []byte("a")})
	t.get("end equals start", &pb.RangeRequest{Key: []byte("a"), RangeEnd: []byte("a")})
	t.get("keys only", &pb.RangeRequest{Key: p, RangeEnd: end, KeysOnly: true})
	t.get("count only", &pb.RangeRequest{Key: p, RangeEnd: end, CountOnly: true})
	t.get("count only, with a limit", &pb.RangeRequest{Key: p, RangeEnd: end, CountOnly: true, Limit: 2})
	for _, limit := range []int64{1, 4, 5, 6, -1} {
		t.get(fmt.Sprint("limit ", limit), &pb.RangeRequest{Key: p, RangeEnd: end, Limit: limit})
	}
	for revision := int64(-1); revision < 20; revision++ {
		heading := fmt.Sprint("at revision ", revision)
		t.get(heading, &pb.RangeRequest{Key: []byte("a"), RangeEnd: []byte("q"), KeysOnly: true, Revision: revision})
	}
	for target := int32(0); target < 5; target++ {
		for order := int32(0); order < 3; order++ {
			request := &pb.RangeRequest{
				Key: p, RangeEnd: end,
				SortTarget: pb.RangeRequest_SortTarget(target), SortOrder: pb.RangeRequest_SortOrder(order),
			}
			t.get(fmt.Sprintf("sorted by %s %s", request.SortTarget, request.SortOrder), request)
			request.Limit = 2
			t.get(fmt.Sprintf("sorted by %s %s, two of them", request.SortTarget, request.SortOrder), request)
		}
	}
	t.get("sort order that does not exist", &pb.RangeRequest{Key: p, RangeEnd: end, SortOrder: 9})
	t.get("sort target that does not exist", &pb.RangeRequest{Key: p, RangeEnd: end, SortTarget: 9})
	t.get("changed at or after", &pb.RangeRequest{Key: p, RangeEnd: end, MinModRevision: 11})
	t.get("changed at or before", &pb.RangeRequest{Key: p, RangeEnd: end, MaxModRevision: 11, Limit: 2})
	t.get("created at or after", &pb.RangeRequest{Key: p, RangeEnd: end, MinCreateRevision: 11})
	t.get("created at or before", &pb.RangeRequest{Key: p, RangeEnd: end, MaxCreateRevision: 11, CountOnly: true})
}

func (t *transcript) remove(heading string, request *pb.DeleteRangeRequest) {
	ctx, cancel := requestContext()
	defer cancel()
	response, err := t.kv.DeleteRange(ctx, request)
	t.report("delete "+heading, response, err)
}

func (t *transcript) deletes() {
	t.remove("one key", &pb.DeleteRangeRequest{Key: []byte("b")})
	t.remove("no key", &pb.DeleteRangeRequest{Key: []byte("b")})
	t.remove("without a key", &pb.DeleteRangeRequest{})
	t.remove("previous wanted", &pb.DeleteRangeRequest{Key: []byte("empty"), PrevKv: true})
	t.remove("part of a prefix", &pb.DeleteRangeRequest{Key: []byte("p/3"), RangeEnd: []byte("p0"), PrevKv: true})
	t.remove("end before start", &pb.DeleteRangeRequest{Key: []byte("z"), RangeEnd: []byte("a")})
	t.get("of a deleted key", &pb.RangeRequest{Key: []byte("b")})
	t.put("of a deleted key", &pb.PutRequest{Key: []byte("b"), Value: []byte("new"), PrevKv: true})
	t.get("of a key that came back", &pb.RangeRequest{Key: []byte("b")})
}

func (t *transcript) transport() {
	ctx, cancel := requestContext()
	defer cancel()
	response, err := t.kv.Range(ctx, &pb.RangeRequest{Key: []byte("a")}, grpc.UseCompressor(gzip.Name))
	t.report("compressed range", response, err)
	withLeader := metadata.AppendToOutgoingContext(ctx, "hasleader", "true")
	response, err = t.kv.Range(withLeader, &pb.RangeRequest{Key: []byte("a")})
	t.report("range that wants a leader", response, err)
	for _, method := range []string{"/foo.Bar/Baz", "/etcdserverpb.KV/Nope", "/etcdserverpb.KV", "/"} {
		t.report("method "+method, &emptypb.Empty{}, t.connection.Invoke(ctx, method, &emptypb.Empty{}, &emptypb.Empty{}))
	}
	bad := &rawMessage{bytes: []byte{0x0a, 0xff}}
	err = t.connection.Invoke(ctx, "/etcdserverpb.KV/Put", bad, &rawMessage{}, grpc.ForceCodec(rawCodec{}))
	fmt.Println("== put that is not protobuf")
	fmt.Println(status.Code(err))
	for _, service := range []string{"", "etcdserverpb.KV", "no.such"} {
		answer, err := t.health.Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: service})
		t.report(fmt.Sprintf("health of %q", service), answer, err)
	}
	expired, cancelNow := context.WithTimeout(context.Background(), 1)
	defer cancelNow()
	response, err = t.kv.Range(expired, &pb.RangeRequest{Key: []byte("a")})
	t.report("range without time", response, err)
	t.clusterAndUpkeep()
}

// rawMessage is sent as it is, so that a message can be wrong.
type rawMessage struct{ bytes []byte }

type rawCodec struct{}

func (rawCodec) Marshal(message any) ([]byte, error) { return message.(*rawMessage).bytes, nil }
func (rawCodec) Unmarshal(data []byte, message any) error {
	message.(*rawMessage).bytes = data
	return nil
}
func (rawCodec) Name() string { return "proto" }
