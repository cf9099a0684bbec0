package audit

var ReadEntry = readEntry
