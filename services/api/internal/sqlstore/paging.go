package sqlstore

import (
	"context"

	"countersign.dev/services/api/internal/listing"
)

// source is a table whose rows are listed. Its texts are constants.
type source[T any] struct {
	table, columns string
	scan           func(scanner) (T, error)
}

// page reads one page, newest first, and how many rows there are.
func (src source[T]) page(ctx context.Context, q querier, where *conditions, p listing.Page) (listing.Result[T], error) {
	total := 0
	if err := one(ctx, q, nil, stmt("count "+src.table,
		`SELECT COUNT(*) FROM `+src.table+` WHERE `+where.text, where.args...), &total); err != nil {
		return listing.Result[T]{}, err
	}
	return src.read(ctx, q, where, p, total)
}

// read is page where somebody knows how many rows there are.
func (src source[T]) read(ctx context.Context, q querier, where *conditions, p listing.Page, total int) (listing.Result[T], error) {
	page, bounds := where.page(p)
	items, err := many(ctx, q, stmt("list "+src.table,
		`SELECT `+src.columns+` FROM `+src.table+` WHERE `+where.text+` ORDER BY created_at DESC, id DESC`+bounds, where.args...), src.scan)
	if err != nil {
		return listing.Result[T]{}, err
	}
	return listing.Result[T]{Items: items, Page: page, Total: total}, nil
}
