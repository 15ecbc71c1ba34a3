// Values, pipelines, transactions, a script, scans and a subscriber with go-redis; Redis and Redoubt are restarted.
package main

import (
	"fmt"
	"net/url"
	"os"
	"sort"
	"sync"
	"time"

	"gopkg.in/redis.v5"
)

var client *redis.Client

// count adds 1 to a counter from several goroutines, each as long as another was faster.
func count(name string, times int) string {
	var group sync.WaitGroup
	add := func(tx *redis.Tx) error {
		now, err := tx.Get(name).Int64()
		if err != nil && err != redis.Nil {
			return err
		}
		_, err = tx.Pipelined(func(pipe *redis.Pipeline) error {
			pipe.Set(name, now+1, 0)
			return nil
		})
		return err
	}
	for i := 0; i < times; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			for client.Watch(add, name) != nil {
			}
		}()
	}
	group.Wait()
	return client.Get(name).Val()
}

// heard subscribes, publishes, and returns the messages.
func heard(text string) []string {
	listener, err := client.Subscribe("one")
	if err != nil {
		return []string{err.Error()}
	}
	defer listener.Close()
	if err := listener.PSubscribe("o*"); err != nil {
		return []string{err.Error()}
	}
	messages := []string{}
	for len(messages) < 2 {
		got, err := listener.ReceiveTimeout(10 * time.Second)
		if err != nil {
			return append(messages, err.Error())
		}
		switch got := got.(type) {
		case *redis.Subscription:
			if got.Kind == "psubscribe" {
				client.Publish("one", text)
			}
		case *redis.Message:
			messages = append(messages, got.Channel+got.Pattern+" "+got.Payload)
		}
	}
	sort.Strings(messages)
	return messages
}

func main() {
	at, err := url.Parse(os.Args[1])
	if err != nil {
		panic(err)
	}
	password, _ := at.User.Password()
	client = redis.NewClient(&redis.Options{Addr: at.Host, Password: password, DB: 2, PoolSize: 8})
	step("values", fmt.Sprint(client.Set("a", 1, time.Minute).Err(), client.Get("a").Val(), client.IncrBy("a", 4).Val(),
		client.Get("none").Err(), client.TTL("a").Val() > 50*time.Second))
	step("hash", fmt.Sprint(client.HMSet("h", map[string]string{"x": "1", "y": "2"}).Err(), client.HGetAll("h").Val()))
	replies, err := client.Pipelined(func(pipe *redis.Pipeline) error {
		for i := 0; i < 100; i++ {
			pipe.Set(fmt.Sprint("k", i), i, 0)
		}
		return nil
	})
	step("pipeline", fmt.Sprint(len(replies), err))
	keys := 0
	for at := client.Scan(0, "k*", 10).Iterator(); at.Next(); {
		keys++
	}
	step("scan", keys >= 100)
	script := redis.NewScript("return redis.call('INCRBY', KEYS[1], ARGV[1])")
	step("script", fmt.Sprint(script.Run(client, []string{"sum"}, 7).Val(), script.Run(client, []string{"sum"}, 7).Val()))
	step("counted", count("counter", 10))
	step("heard", heard("hello"))
	step("blocking", fmt.Sprint(client.LPush("list", "x").Val(), client.BRPop(5*time.Second, "list").Val(),
		client.BRPop(time.Second, "list").Err()))
	step("error", client.LPush("a", "x").Err())
	step("unknown", client.Process(redis.NewCmd("NOSUCH", "x")))
	for _, which := range []string{"redis", "redoubt"} {
		restart(which)
		step("after "+which, eventually("5", func() (interface{}, error) { return client.Get("a").Result() }))
		// Its pool may hold broken connections.
		step("after "+which+": script", eventually(int64(1), func() (interface{}, error) {
			return script.Run(client, []string{"sum of " + which}, 1).Result()
		}))
		step("after "+which+": counted", count("after "+which, 10))
		step("after "+which+": heard", eventually([]string{"one hello", "oneo* hello"}, func() (interface{}, error) {
			return heard("hello"), nil
		}))
	}
}
