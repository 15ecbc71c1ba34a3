package main

// What the programs share: their output, which the test compares.

import (
	"bufio"
	"fmt"
	"os"
	"reflect"
	"time"
)

var input = bufio.NewScanner(os.Stdin)

func step(what string, result interface{}) {
	fmt.Printf("step %s => %v\n", what, result)
}

// restart has the test kill and start again "redis" or "redoubt"; without Redoubt, Redis in both cases.
func restart(which string) {
	fmt.Printf("restart %s\n", which)
	if !input.Scan() || input.Text() != "restarted" {
		panic("no answer")
	}
}

// eventually repeats the action until it gives what is wanted, also if it fails meanwhile.
func eventually(wanted interface{}, action func() (interface{}, error)) interface{} {
	end := time.Now().Add(60 * time.Second)
	for {
		found, err := action()
		if err != nil {
			found = err.Error()
		}
		if reflect.DeepEqual(found, wanted) || time.Now().After(end) {
			return found
		}
		time.Sleep(50 * time.Millisecond)
	}
}
