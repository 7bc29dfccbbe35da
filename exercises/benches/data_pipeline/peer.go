// The job of data-pipeline's benchmark, in usual Go: read lines, parse, filter
// status >= 500, count windows of 1 s by service with p50 and p99, write what matches.
//
//	go run peer.go [-batch N] MATCHES WINDOWS INPUT...
//
// -batch 1 sends one event per channel operation; -batch 256 sends slices of events.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"runtime"
	"sort"
	"sync"
	"time"
)

type event struct {
	Ts        time.Time `json:"ts"`
	Service   string    `json:"service"`
	Status    int       `json:"status"`
	LatencyMs float64   `json:"latency_ms"`
	line      []byte
}

type cell struct {
	window  int64
	service string
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	batch := flag.Int("batch", 1, "events in one channel operation")
	flag.Parse()
	matches, err := os.Create(flag.Arg(0))
	check(err)
	windows, err := os.Create(flag.Arg(1))
	check(err)

	lines := make(chan [][]byte, 1024)
	events := make(chan []event, 1024)
	var readers, workers sync.WaitGroup
	for _, name := range flag.Args()[2:] {
		readers.Add(1)
		go func() {
			defer readers.Done()
			read(name, *batch, lines)
		}()
	}
	go func() {
		readers.Wait()
		close(lines)
	}()
	for range runtime.NumCPU() {
		workers.Add(1)
		go func() {
			defer workers.Done()
			parse(lines, events)
		}()
	}
	go func() {
		workers.Wait()
		close(events)
	}()
	collect(events, matches, windows)
}

func read(name string, batch int, lines chan<- [][]byte) {
	input, err := os.Open(name)
	check(err)
	defer input.Close()
	scanner := bufio.NewScanner(bufio.NewReaderSize(input, 256*1024))
	scanner.Buffer(make([]byte, 64*1024), 1<<20)
	chunk := make([][]byte, 0, batch)
	for scanner.Scan() {
		line := append([]byte(nil), scanner.Bytes()...)
		chunk = append(chunk, line)
		if len(chunk) == batch {
			lines <- chunk
			chunk = make([][]byte, 0, batch)
		}
	}
	check(scanner.Err())
	if len(chunk) > 0 {
		lines <- chunk
	}
}

func parse(lines <-chan [][]byte, events chan<- []event) {
	for chunk := range lines {
		var kept []event
		for _, line := range chunk {
			var e event
			if json.Unmarshal(line, &e) != nil || e.Status < 500 {
				continue
			}
			e.line = line
			kept = append(kept, e)
		}
		if len(kept) > 0 {
			events <- kept
		}
	}
}

func collect(events <-chan []event, matches, windows *os.File) {
	out := bufio.NewWriterSize(matches, 256*1024)
	cells := map[cell][]float64{}
	for chunk := range events {
		for _, e := range chunk {
			out.Write(e.line)
			out.WriteByte('\n')
			key := cell{e.Ts.Unix(), e.Service}
			cells[key] = append(cells[key], e.LatencyMs)
		}
	}
	check(out.Flush())
	keys := make([]cell, 0, len(cells))
	for key := range cells {
		keys = append(keys, key)
	}
	sort.Slice(keys, func(i, j int) bool {
		if keys[i].window != keys[j].window {
			return keys[i].window < keys[j].window
		}
		return keys[i].service < keys[j].service
	})
	to := bufio.NewWriter(windows)
	for _, key := range keys {
		values := cells[key]
		sort.Float64s(values)
		at := func(q float64) float64 { return values[int(math.Ceil(q*float64(len(values))))-1] }
		start := time.Unix(key.window, 0).UTC().Format(time.RFC3339)
		fmt.Fprintf(to, `{"window_start":%q,"key":%q,"count":%d,"p50":%v,"p99":%v}`+"\n",
			start, key.service, len(values), at(0.5), at(0.99))
	}
	check(to.Flush())
}
