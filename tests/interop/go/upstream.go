// Package upstream pins the programs and tests of Agent Sandbox that the interop tests run unmodified.
package upstream

import (
	_ "sigs.k8s.io/agent-sandbox/clients/go/sandbox"
)
