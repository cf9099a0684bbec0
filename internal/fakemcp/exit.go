//go:build !race || !linux

package fakemcp

import "os"

var exit = os.Exit
