// Goroutines that sort, encode and allocate.
package main

import (
	"encoding/json"
	"runtime"
	"sort"
	"strings"
)

type item struct {
	Name  string
	Value int
	Next  []int
}

func work(seed int) int {
	items := make([]item, 0, 512)
	for i := 0; i < 512; i++ {
		seed = seed*1103515245 + 12345
		items = append(items, item{strings.Repeat("x", seed>>16&15), seed >> 8 & 0xffff, []int{i, seed & 0xff}})
	}
	sort.Slice(items, func(a, b int) bool { return items[a].Value < items[b].Value })
	text, _ := json.Marshal(items)
	var back []item
	_ = json.Unmarshal(text, &back)
	return len(back)
}

func main() {
	for i := 1; i < runtime.NumCPU(); i++ {
		go func() {
			for {
				work(i)
			}
		}()
	}
	for {
		work(0)
	}
}
