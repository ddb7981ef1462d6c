package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

const (
	loadWorkers       = 8
	loadKeysPerWorker = 16
	loadPadding       = 200
	// A put that takes longer than this is as good as a server that went away.
	loadPutTimeout = 5 * time.Second
)

// written is what one worker knows of one key that only it writes.
type written struct {
	sent     int64 // the last value handed to the client library
	acked    int64 // the last value whose put was answered; 0 if none was
	revision int64 // the revision of that answer
}

// load puts until each of its workers has met an error. It prints "started" when every worker has had a put
// acknowledged, and at the end, for each key that was written, "key sent acked revision".
//
// Values are round*1e6 + a counter, so they only grow, whatever key and however many rounds.
func load(args arguments) error {
	results := make([]map[string]written, loadWorkers)
	var all, started sync.WaitGroup
	for worker := range loadWorkers {
		client, err := connect(args.endpoint)
		if err != nil {
			return err
		}
		defer client.Close()
		results[worker] = map[string]written{}
		all.Add(1)
		started.Add(1)
		go func() {
			defer all.Done()
			putUntilError(client, worker, int64(args.round)*1_000_000, results[worker], started.Done)
		}()
	}
	started.Wait()
	fmt.Println("started")
	all.Wait()
	for _, result := range results {
		for key, state := range result {
			fmt.Printf("%s %d %d %d\n", key, state.sent, state.acked, state.revision)
		}
	}
	return nil
}

func putUntilError(client *clientv3.Client, worker int, base int64, states map[string]written, started func()) {
	once := sync.OnceFunc(started)
	defer once()
	padding := strings.Repeat("x", loadPadding)
	for count := int64(1); ; count++ {
		key := fmt.Sprintf("load/%d/%d", worker, count%loadKeysPerWorker)
		state := states[key]
		state.sent = base + count
		states[key] = state
		ctx, cancel := context.WithTimeout(context.Background(), loadPutTimeout)
		response, err := client.Put(ctx, key, fmt.Sprintf("%d %s", state.sent, padding))
		cancel()
		if err != nil {
			return
		}
		state.acked, state.revision = state.sent, response.Header.Revision
		states[key] = state
		once()
	}
}
