package main

import (
	"fmt"
	"math/rand"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"
)

const (
	fillKeys = 60
	// Of this many requests one is a range delete, of the next number one is a large value.
	fillDeleteOneIn = 25
	fillLargeOneIn  = 40
	fillLargeBytes  = 70_000
)

// fill makes puts, deletes and transactions that --seed decides, and with --compact one compaction in the middle.
func fill(args arguments) error {
	client, err := connect(args.endpoint)
	if err != nil {
		return err
	}
	defer client.Close()
	random := rand.New(rand.NewSource(args.seed))
	for op := range args.ops {
		if args.compact && op == args.ops*2/3 {
			if err := compactBelow(client, int64(random.Intn(20))); err != nil {
				return err
			}
		}
		if err := fillOnce(client, random, fmt.Sprintf("%d/%d", args.seed, op)); err != nil {
			return fmt.Errorf("request %d: %w", op, err)
		}
	}
	return nil
}

func fillOnce(client *clientv3.Client, random *rand.Rand, mark string) error {
	ctx, cancel := requestContext()
	defer cancel()
	key := fillKey(random)
	var err error
	switch {
	case random.Intn(fillLargeOneIn) == 0:
		_, err = client.Put(ctx, key, strings.Repeat(mark, fillLargeBytes/len(mark)))
	case random.Intn(fillDeleteOneIn) == 0:
		_, err = client.Delete(ctx, key, clientv3.WithRange(clientv3.GetPrefixRangeEnd(key)))
	case random.Intn(5) == 0:
		_, err = client.Delete(ctx, key)
	case random.Intn(5) == 0:
		second := key + "+"
		_, err = client.Txn(ctx).
			If(clientv3.Compare(clientv3.Version(key), ">", 0)).
			Then(clientv3.OpPut(key, mark), clientv3.OpPut(second, ""), clientv3.OpGet(key)).
			Else(clientv3.OpDelete(second), clientv3.OpPut(key, "absent "+mark)).
			Commit()
	default:
		_, err = client.Put(ctx, key, mark)
	}
	return err
}

func fillKey(random *rand.Rand) string {
	switch number := random.Intn(fillKeys); number % 10 {
	case 0:
		return string([]byte{0, byte(number)})
	case 1:
		return "\xff\xfe" + strings.Repeat("long", number)
	default:
		return fmt.Sprintf("key/%03d", number)
	}
}

func compactBelow(client *clientv3.Client, distance int64) error {
	ctx, cancel := requestContext()
	defer cancel()
	response, err := client.Get(ctx, "any")
	if err != nil {
		return err
	}
	_, err = client.Compact(ctx, max(response.Header.Revision-distance, 1), clientv3.WithCompactPhysical())
	return err
}
