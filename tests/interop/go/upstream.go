//go:build tools

// Package upstream pins the programs and tests of Agent Sandbox that the interop tests run unmodified.
package upstream

import (
	_ "sigs.k8s.io/agent-sandbox/clients/go/sandbox"
	_ "sigs.k8s.io/agent-sandbox/sandbox-router/cmd"
	_ "sigs.k8s.io/agent-sandbox/packages/sandboxd/cmd/sandboxd"
)
