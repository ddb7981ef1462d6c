package main

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/stats"
)

const (
	largePrefix  = "large/"
	largeValues  = 80
	largeBytes   = 100_000
	largeClients = 5
)

// connections counts the connections of one client.
type connections struct{ begun atomic.Int64 }

func (c *connections) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context   { return ctx }
func (c *connections) HandleRPC(context.Context, stats.RPCStats)                         {}
func (c *connections) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (c *connections) HandleConn(_ context.Context, event stats.ConnStats) {
	if _, ok := event.(*stats.ConnBegin); ok {
		c.begun.Add(1)
	}
}

// large puts values of several MB in all, and reads them in one answer with each of a few new clients. A new client
// pings in each round trip of its first large answer, to measure the connection. It prints, for each client, the number
// of values, the bytes in them, and how many connections that took: the library hides one that ended.
func large(args arguments) error {
	client, err := connect(args.endpoint)
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := requestContext()
	defer cancel()
	for number := range largeValues {
		value := strings.Repeat("v", largeBytes)
		if _, err := client.Put(ctx, fmt.Sprintf("%s%d", largePrefix, number), value); err != nil {
			return err
		}
	}
	for range largeClients {
		if err := readLarge(args.endpoint); err != nil {
			return err
		}
	}
	return nil
}

func readLarge(endpoint string) error {
	var counter connections
	client, err := clientv3.New(clientv3.Config{
		Endpoints:   []string{endpoint},
		DialTimeout: timeout,
		Logger:      zap.NewNop(),
		DialOptions: []grpc.DialOption{grpc.WithStatsHandler(&counter)},
	})
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := requestContext()
	defer cancel()
	response, err := client.Get(ctx, largePrefix, clientv3.WithPrefix())
	if err != nil {
		return err
	}
	bytes := 0
	for _, kv := range response.Kvs {
		bytes += len(kv.Value)
	}
	// The connection must still be good for another call.
	if _, err := client.Get(ctx, "small"); err != nil {
		return err
	}
	fmt.Println(len(response.Kvs), bytes, counter.begun.Load())
	return nil
}
