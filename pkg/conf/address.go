package conf

import (
	"net"
	"strconv"
)

// Address returns a mistake about the variable name when text is not an
// address to listen on: host:port, where the host may be empty for every
// interface and the port may be 0 for any that is free.
func Address(name, text string) error {
	_, port, err := net.SplitHostPort(text)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return Wrong(name, "is not an address to listen on, such as 127.0.0.1:8080")
	}
	return nil
}
