// Upstream's Go SDK in a loop: `sdk-loop run URL COUNT AT_ONCE`, `sdk-loop claims - COUNT AT_ONCE`, and
// `sdk-loop ready - COUNT RATE`, which tells when each claim was seen Ready and deletes nothing.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/agent-sandbox/clients/go/sandbox"
)

const pool = "python-sandbox-pool"

func main() {
	if err := measure(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func measure(words []string) error {
	if len(words) != 4 {
		return fmt.Errorf("usage: sdk-loop run|claims|ready URL COUNT AT_ONCE")
	}
	count, err := strconv.ParseInt(words[2], 10, 64)
	if err != nil {
		return err
	}
	atOnce, err := strconv.Atoi(words[3])
	if err != nil {
		return err
	}
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err != nil {
		return err
	}
	// The client's own limit of 5 requests a second would be all that is seen.
	config.QPS = -1
	url := words[1]
	if url == "-" {
		url = "http://127.0.0.1:1"
	}
	ctx := context.Background()
	client, err := sandbox.NewClient(ctx, sandbox.Options{APIURL: url, RestConfig: config, Quiet: true})
	if err != nil {
		return err
	}
	if words[0] == "ready" {
		return ready(ctx, client, count, atOnce)
	}
	defer client.DeleteAll(ctx)

	var operation func() error
	switch words[0] {
	case "run":
		opened, err := client.CreateSandbox(ctx, pool, "default")
		if err != nil {
			return err
		}
		operation = func() error {
			_, err := opened.Run(ctx, "true")
			return err
		}
	case "claims":
		operation = func() error {
			opened, err := client.CreateSandbox(ctx, pool, "default")
			if err != nil {
				return err
			}
			return client.DeleteSandbox(ctx, opened.ClaimName(), "default")
		}
	default:
		return fmt.Errorf("the first word is `run`, `claims` or `ready`")
	}

	began := time.Now()
	if err := repeat(operation, count, atOnce); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]any{
		"operations": count,
		"seconds":    time.Since(began).Seconds(),
	})
}

// repeat does an operation so often, so many at a time; the first error ends it.
func repeat(operation func() error, count int64, atOnce int) error {
	var next atomic.Int64
	var group sync.WaitGroup
	failures := make(chan error, atOnce)
	for range atOnce {
		group.Go(func() {
			for next.Add(1) <= count {
				if err := operation(); err != nil {
					failures <- err
					return
				}
			}
		})
	}
	group.Wait()
	close(failures)
	return <-failures
}

// ready makes claims at a rate; prints when each was seen Ready, in nanoseconds since 1970.
func ready(ctx context.Context, client *sandbox.Client, count int64, rate int) error {
	began := time.Now()
	var lock sync.Mutex
	seen := map[string]int64{}
	failures := make(chan error, count)
	var group sync.WaitGroup
	for number := range count {
		time.Sleep(time.Until(began.Add(time.Duration(number) * time.Second / time.Duration(rate))))
		group.Go(func() {
			opened, err := client.CreateSandbox(ctx, pool, "default")
			at := time.Now().UnixNano()
			if err != nil {
				failures <- err
				return
			}
			lock.Lock()
			defer lock.Unlock()
			seen[opened.ClaimName()] = at
		})
	}
	group.Wait()
	close(failures)
	if err := <-failures; err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]any{
		"operations": count,
		"seconds":    time.Since(began).Seconds(),
		"seen_ns":    seen,
	})
}
