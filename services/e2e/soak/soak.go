// Package soak holds the tests that let parts die under load: thousands of
// codes and mails through the programs as they are shipped, with workers or the
// bus killed in the middle of it, again and again.
//
// There is nothing here to call. Three logs are kept while it runs (what the
// clients were answered, what the provider accepted, what the API says of its
// deliveries), and one checker compares them when everything has come to rest.
// The moments of the kills come from a seed that is printed; -seed repeats it.
package soak
