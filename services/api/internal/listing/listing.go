// Package listing is how lists are paged.
package listing

// Bounds of a page. A longer page is cut to MaxPer.
const (
	DefaultPer = 10
	MaxPer     = 200
)

// Page asks for one page, counted from 1.
type Page struct {
	Number int
	Per    int
}

// Of brings a caller's wish within the bounds; zero means the default.
func Of(number, per int) Page {
	if number < 1 {
		number = 1
	}
	if per < 1 {
		per = DefaultPer
	}
	return Page{Number: number, Per: min(per, MaxPer)}
}

// Offset is how many items stand before this page.
func (p Page) Offset() int { return (p.Number - 1) * p.Per }

// Result is one page of a list, and how many items there are in all.
type Result[T any] struct {
	Items []T
	Total int
	Page  Page
}
