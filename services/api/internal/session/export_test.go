package session

// Mask is mask, for its test.
var Mask = mask
