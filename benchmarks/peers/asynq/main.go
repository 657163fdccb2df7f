// Command asynq-peer is the worker and the client of asynq: Go, straight on Redis, with leases.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hibiken/asynq"
)

const (
	kind      = "noop"
	retention = time.Hour
	patience  = 30 * time.Second
	poll      = 2 * time.Millisecond
	inFlight  = 64
)

type job struct {
	Item string `json:"item"`
	Pad  string `json:"pad"`
}

type result struct {
	Item string `json:"item"`
}

func redis() asynq.RedisClientOpt {
	return asynq.RedisClientOpt{Network: "unix", Addr: os.Getenv("BENCH_STORE"), PoolSize: inFlight}
}

func payload(item string) []byte {
	bare, _ := json.Marshal(job{Item: item})
	full, _ := json.Marshal(job{Item: item, Pad: strings.Repeat("x", 256-len(bare))})
	return full
}

// notes keeps each run with its instant, and writes them down every 50 ms.
type notes struct {
	mutex sync.Mutex
	fresh strings.Builder
}

func (n *notes) ran(item string) {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	fmt.Fprintf(&n.fresh, "%s %d\n", item, time.Now().UnixMicro())
}

func (n *notes) keep() {
	path := filepath.Join(os.Getenv("BENCH_NOTES"), strconv.Itoa(os.Getpid()))
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		panic(err)
	}
	for range time.Tick(50 * time.Millisecond) {
		n.mutex.Lock()
		lines := n.fresh.String()
		n.fresh.Reset()
		n.mutex.Unlock()
		_, _ = file.WriteString(lines)
	}
}

func work() error {
	slots, err := strconv.Atoi(os.Getenv("BENCH_SLOTS"))
	if err != nil {
		return err
	}
	kept := &notes{}
	go kept.keep()
	config := asynq.Config{Concurrency: slots, LogLevel: asynq.ErrorLevel, TaskCheckInterval: 10 * time.Millisecond}
	return asynq.NewServer(redis(), config).Run(asynq.HandlerFunc(func(_ context.Context, task *asynq.Task) error {
		var input job
		if err := json.Unmarshal(task.Payload(), &input); err != nil {
			return err
		}
		kept.ran(input.Item)
		if strings.HasPrefix(input.Item, "hold") {
			time.Sleep(time.Hour)
		}
		output, err := json.Marshal(result{input.Item})
		if err != nil {
			return err
		}
		_, err = task.ResultWriter().Write(output)
		return err
	}))
}

type client struct {
	enqueuer  *asynq.Client
	inspector *asynq.Inspector
}

func (c client) enqueue(item string) error {
	_, err := c.enqueuer.Enqueue(asynq.NewTask(kind, payload(item)), asynq.TaskID(item), asynq.Retention(retention))
	return err
}

func (c client) enqueueAll(items []string) error {
	var group sync.WaitGroup
	failures := make(chan error, inFlight)
	for part := range inFlight {
		group.Go(func() {
			for index := part; index < len(items); index += inFlight {
				if err := c.enqueue(items[index]); err != nil {
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

func (c client) isRight(item string) bool {
	var kept result
	info, err := c.inspector.GetTaskInfo("default", item)
	return err == nil && json.Unmarshal(info.Result, &kept) == nil && kept.Item == item
}

// latencies asks for items at a steady rate, whether results come or not: there is no way to wait for one but to look.
func (c client) latencies(items []string, rate float64) []float64 {
	began := time.Now().Add(50 * time.Millisecond)
	found := make(chan float64, len(items))
	var group sync.WaitGroup
	for index, item := range items {
		planned := began.Add(time.Duration(float64(index) / rate * float64(time.Second)))
		time.Sleep(time.Until(planned))
		group.Go(func() {
			if c.enqueue(item) != nil {
				return
			}
			for time.Since(planned) < patience {
				if c.isRight(item) {
					found <- float64(time.Since(planned).Microseconds()) / 1000
					return
				}
				time.Sleep(poll)
			}
		})
	}
	group.Wait()
	close(found)
	all := make([]float64, 0, len(items))
	for each := range found {
		all = append(all, each)
	}
	sort.Float64s(all)
	return all
}

type command struct {
	Do     string  `json:"do"`
	Prefix string  `json:"prefix"`
	Count  int     `json:"count"`
	Every  int     `json:"every"`
	Rate   float64 `json:"rate"`
}

func (c client) carryOut(told command) (any, error) {
	items := make([]string, told.Count)
	for number := range items {
		items[number] = fmt.Sprintf("%s-%d", told.Prefix, number)
	}
	switch told.Do {
	case "enqueue":
		began := time.Now()
		err := c.enqueueAll(items)
		return map[string]float64{"seconds": time.Since(began).Seconds()}, err
	case "latency":
		return map[string][]float64{"ms": c.latencies(items, told.Rate)}, nil
	case "check":
		wrong := []string{}
		for number := 0; number < len(items); number += told.Every {
			if !c.isRight(items[number]) {
				wrong = append(wrong, items[number])
			}
		}
		return map[string][]string{"wrong": wrong}, nil
	}
	return nil, fmt.Errorf("no such command: %s", told.Do)
}

func serve() error {
	c := client{asynq.NewClient(redis()), asynq.NewInspector(redis())}
	out := json.NewEncoder(os.Stdout)
	versions := map[string]string{}
	if build, ok := debug.ReadBuildInfo(); ok {
		versions["go"] = strings.TrimPrefix(build.GoVersion, "go")
		for _, module := range build.Deps {
			if module.Path == "github.com/hibiken/asynq" {
				versions["asynq"] = strings.TrimPrefix(module.Version, "v")
			}
		}
	}
	if err := out.Encode(map[string]any{"ready": versions}); err != nil {
		return err
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var told command
		if err := json.Unmarshal(lines.Bytes(), &told); err != nil {
			return err
		}
		answer, err := c.carryOut(told)
		if err != nil {
			return err
		}
		if err := out.Encode(answer); err != nil {
			return err
		}
	}
	return lines.Err()
}

func main() {
	run := map[string]func() error{"worker": work, "client": serve}[os.Args[1]]
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
