package zxcvbn

import (
	"strings"
	"sync"
)

// row is one row of keys, from a column on. A key is its characters, without
// and with shift.
type row struct {
	column int
	keys   string
}

// A slanted keyboard has six keys around a key, as each row is half a key to
// the right of the one above; a pad has eight. Directions go clockwise from the
// left.
type direction struct{ column, row int }

var (
	slanted = []direction{{-1, 0}, {0, -1}, {1, -1}, {1, 0}, {0, 1}, {-1, 1}}
	aligned = []direction{{-1, 0}, {-1, -1}, {0, -1}, {1, -1}, {1, 0}, {1, 1}, {0, 1}, {-1, 1}}
)

var (
	qwerty = []row{
		{0, "`~ 1! 2@ 3# 4$ 5% 6^ 7& 8* 9( 0) -_ =+"},
		{1, `qQ wW eE rR tT yY uU iI oO pP [{ ]} \|`},
		{1, `aA sS dD fF gG hH jJ kK lL ;: '"`},
		{1, "zZ xX cC vV bB nN mM ,< .> /?"},
	}
	dvorak = []row{
		{0, "`~ 1! 2@ 3# 4$ 5% 6^ 7& 8* 9( 0) [{ ]}"},
		{1, `'" ,< .> pP yY fF gG cC rR lL /? =+ \|`},
		{1, "aA oO eE uU iI dD hH tT nN sS -_"},
		{1, ";: qQ jJ kK xX bB mM wW vV zZ"},
	}
	keypad    = []row{{1, "/ * -"}, {0, "7 8 9 +"}, {0, "4 5 6"}, {0, "1 2 3"}, {1, "0 ."}}
	macKeypad = []row{{1, "= / *"}, {0, "7 8 9 -"}, {0, "4 5 6 +"}, {0, "1 2 3"}, {1, "0 ."}}
)

// keyboard is a layout as a graph.
type keyboard struct {
	// beside has the keys around the key of a character, by their direction,
	// empty where there is none.
	beside map[uint16][]string
	// shifted are the characters that need the shift key.
	shifted map[uint16]bool
	// keys is how many characters there are to start from, degree how many
	// keys there are around one on average.
	keys, degree float64
}

// keyboards are the layouts in which walks are looked for. What a walk costs is
// reckoned with the figures of the first keyboard and the first pad.
var keyboards = sync.OnceValue(func() []keyboard {
	all := []keyboard{layOut(qwerty, slanted), layOut(dvorak, slanted), layOut(keypad, aligned), layOut(macKeypad, aligned)}
	all[1].keys, all[1].degree = all[0].keys, all[0].degree
	all[3].keys, all[3].degree = all[2].keys, all[2].degree
	return all
})

func layOut(rows []row, around []direction) keyboard {
	at := map[direction]string{}
	for y, row := range rows {
		for x, key := range strings.Fields(row.keys) {
			at[direction{row.column + x, y}] = key
		}
	}
	k := keyboard{beside: map[uint16][]string{}, shifted: map[uint16]bool{}}
	ends := 0
	for place, key := range at {
		var beside []string
		for _, d := range around {
			next := at[direction{place.column + d.column, place.row + d.row}]
			beside = append(beside, next)
			if next != "" {
				ends += len(key)
			}
		}
		for i, char := range []byte(key) {
			k.beside[uint16(char)] = beside
			k.shifted[uint16(char)] = i == 1
		}
	}
	k.keys = float64(len(k.beside))
	k.degree = float64(ends) / k.keys
	return k
}
