package main

import (
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// stock is what a store holds after restock, as keys with their values.
var stock = [][2]string{
	{"a", "A"}, {"b", "B"}, {"c", "C"}, {"k中\t", "v\"<>&"},
	{"web1", "value1"}, {"web2", "value2"}, {"web3", "value3"},
}

// restock prints each key with its version and value, then puts exactly the stock in place of all of them.
func restock(args arguments) error {
	client, err := connect(args.endpoint)
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := requestContext()
	defer cancel()
	response, err := client.Get(ctx, "", clientv3.WithFromKey())
	if err != nil {
		return err
	}
	for _, kv := range response.Kvs {
		fmt.Printf("%q %d %q\n", kv.Key, kv.Version, kv.Value)
	}
	if _, err := client.Delete(ctx, "", clientv3.WithFromKey()); err != nil {
		return err
	}
	for _, pair := range stock {
		if _, err := client.Put(ctx, pair[0], pair[1]); err != nil {
			return err
		}
	}
	return nil
}
