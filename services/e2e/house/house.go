// Package house holds the tests about the tree itself: who imports whom, where
// secrets are compared, how SQL is made, and whether the documents that list
// things list what is there.
//
// There is nothing here to call. The tests read the files of every module, so
// their results must not come from the test cache: run them with -count=1, as
// `make test` does.
package house
