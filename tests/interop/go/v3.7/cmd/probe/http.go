package main

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"sort"
	"strings"
)

// plainHTTP asks both listeners for what a browser could ask, and prints status, headers and body.
func plainHTTP(args arguments) error {
	client := &http.Client{Timeout: timeout}
	requests := []struct{ method, host, path string }{
		{"GET", args.endpoint, "/version"},
		{"POST", args.endpoint, "/version"},
		{"GET", args.endpoint, "/health"},
		{"GET", args.endpoint, "/health?serializable=true"},
		{"POST", args.endpoint, "/health"},
		{"GET", args.endpoint, "/no/such/path"},
		{"OPTIONS", args.endpoint, "/version"},
		{"GET", args.peer, "/version"},
		{"GET", args.peer, "/members"},
		{"GET", args.peer, "/raft/probing"},
		{"POST", args.peer, "/members"},
	}
	for _, request := range requests {
		listener := "client"
		if request.host == args.peer {
			listener = "peer"
		}
		fmt.Printf("== %s %s %s\n", listener, request.method, request.path)
		message, err := http.NewRequest(request.method, "http://"+request.host+request.path, nil)
		if err != nil {
			return err
		}
		response, err := client.Do(message)
		if err != nil {
			return err
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil {
			return err
		}
		fmt.Println(response.StatusCode)
		printHeaders(response.Header)
		fmt.Println(scrub(string(body), args))
	}
	return nil
}

func printHeaders(headers http.Header) {
	names := make([]string, 0, len(headers))
	for name := range headers {
		if name != "Date" && name != "Content-Length" {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	for _, name := range names {
		value := strings.Join(headers[name], "|")
		if name == "X-Etcd-Cluster-Id" {
			value = "<cluster>"
		}
		fmt.Printf("%s: %s\n", name, value)
	}
}

// probeTime is the clock in an answer of /raft/probing.
var probeTime = regexp.MustCompile(`"Now":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)"`)

// scrub replaces what two servers on other ports cannot have in common.
func scrub(text string, args arguments) string {
	text = strings.ReplaceAll(text, args.endpoint, "<client>")
	text = strings.ReplaceAll(text, args.peer, "<peer>")
	text = probeTime.ReplaceAllString(text, `"Now":<time>`)
	return memberID.ReplaceAllString(text, `"id":<member>`)
}
