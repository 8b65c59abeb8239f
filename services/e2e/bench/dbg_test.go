package bench_test

import (
	"database/sql"
	"fmt"
)

func (s *scene) dbg() {
	db, err := sql.Open("pgx", s.database)
	s.must(err)
	defer db.Close()
	rows, err := db.Query(`select relname, seq_scan, seq_tup_read, coalesce(idx_scan,0), coalesce(idx_tup_fetch,0), n_live_tup, n_dead_tup, autoanalyze_count from pg_stat_user_tables where seq_scan+coalesce(idx_scan,0)>0 order by seq_tup_read desc`)
	s.must(err)
	for rows.Next() {
		var n string
		var a, b, c, d, e, f, g int64
		s.must(rows.Scan(&n, &a, &b, &c, &d, &e, &f, &g))
		fmt.Printf("%-24s seq %6d rows %9d idx %6d fetch %8d live %d dead %d auto %d\n", n, a, b, c, d, e, f, g)
	}
	fmt.Println()
}
