// Command probe talks to a running etcd with etcd's own client library and prints what it saw.
//
// The tests of tests/interop start it; each subcommand is one question:
//
//	probe load --endpoint E       puts over several connections until the server goes away
//	probe dump --endpoint E       every key with its revisions
//	probe hashes --endpoint E     HashKV at every revision that is not compacted
//	probe fill --endpoint E       a workload that a seed decides
//	probe calls --endpoint E      the answer to each of a list of calls, wrong ones included
//	probe http --endpoint E --peer P   the answers to plain HTTP requests
//	probe restock --endpoint E    every key with its value; then the same few keys in place of them
//	probe large --endpoint E      answers of several MB to clients that are new
//
// It ends with status 0 if it got its answer, whatever that is, and with 1 otherwise.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// timeout bounds one subcommand's single request.
const timeout = 10 * time.Second

// arguments are the flags of all subcommands.
type arguments struct {
	endpoint string
	peer     string
	seed     int64
	ops      int
	round    int
	compact  bool
	revision int64
}

func main() {
	if len(os.Args) < 2 {
		fail(fmt.Errorf("usage: probe load|dump|hashes|fill|calls|http|restock|large [flags]"))
	}
	var args arguments
	flags := flag.NewFlagSet("probe", flag.ExitOnError)
	flags.StringVar(&args.endpoint, "endpoint", "127.0.0.1:2379", "host:port of the client listener")
	flags.StringVar(&args.peer, "peer", "", "host:port of the peer listener")
	flags.Int64Var(&args.seed, "seed", 1, "what fill derives its choices from")
	flags.IntVar(&args.ops, "ops", 200, "how many requests fill makes")
	flags.IntVar(&args.round, "round", 0, "number that load puts in front of its values")
	flags.BoolVar(&args.compact, "compact", false, "whether fill also compacts")
	flags.Int64Var(&args.revision, "revision", 0, "the revision dump reads at; 0 is the current one")
	_ = flags.Parse(os.Args[2:])
	subcommands := map[string]func(arguments) error{
		"load": load, "dump": dump, "hashes": hashes, "fill": fill, "calls": calls, "http": plainHTTP,
		"restock": restock, "large": large,
	}
	run, ok := subcommands[os.Args[1]]
	if !ok {
		fail(fmt.Errorf("unknown subcommand %q", os.Args[1]))
	}
	if err := run(args); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "probe:", err)
	os.Exit(1)
}

// connect returns a client with a connection of its own.
func connect(endpoint string) (*clientv3.Client, error) {
	return clientv3.New(clientv3.Config{
		Endpoints:   []string{endpoint},
		DialTimeout: timeout,
		Logger:      zap.NewNop(),
	})
}

func requestContext() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), timeout)
}
