// The workloads of the table in ../../VERSUS-GO.md, in Go.
//
// peer ROW N runs one row once with N items, and prints the seconds it took, the peak of the
// process' memory in bytes, and a check value that must be the same on both sides.
package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// A row runs with n items and returns how long the measured part took, and its check value.
type row func(n int) (time.Duration, uint64)

var rows = map[string]row{
	"spawn":                    spawn,
	"spawn-best":               spawnYielding,
	"sleep":                    sleeping,
	"parked":                   parked,
	"channel":                  channel,
	"channel-best":             channelDraining,
	"pipeline":                 pipeline,
	"pipeline-best":            pipelineDraining,
	"pipeline-bulk":            pipelineChunks,
	"fan-3":                    fan(3),
	"fan-8":                    fan(8),
	"fan-3-best":               fanDraining(3),
	"fan-8-best":               fanDraining(8),
	"fan-3-bulk":               fanChunks(3),
	"fan-8-bulk":               fanChunks(8),
	"pool":                     pool(1024),
	"pool-64":                  pool(capacity),
	"pool-bulk":                poolBatches(poolWorkers),
	"pool-bulk-1":              poolBatches(1),
	"pool-sleep":               poolSleeping,
	"unlimited-sleep":          unlimitedSleeping,
	"cancel":                   cancelWaiting,
	"cancel-children":          cancelChildren,
	"receive-cancellable":      receiveCancellable,
	"receive-cancellable-best": receiveCancellableDraining,
	"context":                  contextCreate,
	"context-value":            contextValue,
	"stdin":                    stdinPipeline,
}

func main() {
	if len(os.Args) != 3 {
		fail("usage: peer ROW N")
	}
	run, known := rows[os.Args[1]]
	n, err := strconv.Atoi(os.Args[2])
	if !known || err != nil {
		fail("no such row, or N is not a number: " + strings.Join(os.Args[1:], " "))
	}
	took, check := run(n)
	fmt.Fprintf(os.Stderr, "%.9f %d %d\n", took.Seconds(), peakMemory(), check)
}

// timed measures body.
func timed(body func() uint64) (time.Duration, uint64) {
	start := time.Now()
	check := body()
	return time.Since(start), check
}

// peakMemory is the most resident memory this process has had, as Linux counts it.
func peakMemory() uint64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for _, line := range strings.Split(string(status), "\n") {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "VmHWM:" {
			kibibytes, _ := strconv.ParseUint(fields[1], 10, 64)
			return kibibytes * 1024
		}
	}
	return 0
}

func fail(message string) {
	fmt.Fprintln(os.Stderr, message)
	os.Exit(2)
}
