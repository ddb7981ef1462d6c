package main

import (
	"bufio"
	"fmt"
	"os"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// dump prints "revision N" and then, for each key, "key" create_revision mod_revision version lease "value".
func dump(args arguments) error {
	client, err := connect(args.endpoint)
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := requestContext()
	defer cancel()
	response, err := client.Get(ctx, "", clientv3.WithFromKey(), clientv3.WithRev(args.revision))
	if err != nil {
		return err
	}
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	fmt.Fprintf(out, "revision %d\n", response.Header.Revision)
	for _, kv := range response.Kvs {
		fmt.Fprintf(out, "%q %d %d %d %d %q\n", kv.Key, kv.CreateRevision, kv.ModRevision, kv.Version, kv.Lease, kv.Value)
	}
	return nil
}

// hashes prints "revision hash compact_revision" for each revision from the compacted one to the current one.
func hashes(args arguments) error {
	client, err := connect(args.endpoint)
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := requestContext()
	defer cancel()
	now, err := client.HashKV(ctx, args.endpoint, 0)
	if err != nil {
		return err
	}
	for revision := max(now.CompactRevision, 1); revision <= now.Header.Revision; revision++ {
		response, err := client.HashKV(ctx, args.endpoint, revision)
		if err != nil {
			return fmt.Errorf("hash at %d: %w", revision, err)
		}
		fmt.Printf("%d %d %d\n", revision, response.Hash, response.CompactRevision)
	}
	return nil
}
