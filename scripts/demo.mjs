// The main job on a real capture, and what is to be seen: `npm run demo` (which builds first).

import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const command = [
  'run',
  'examples/firewall.bpf.o',
  '--pcap',
  'examples/traffic.pcapng',
  '--set',
  'blocked_port=443',
];

console.log(`A firewall that clang compiled for Linux (examples/firewall.bpf.c) judges 2,477 packets that were captured
between two network namespaces: it drops what goes to port 443 and what is malformed, and counts in maps.

$ npx skep ${command.join(' ')}
`);
const { status, error } = spawnSync(process.execPath, [path.join(root, 'dist/cli/main.js'), ...command], {
  cwd: root,
  stdio: 'inherit',
});
if (error) throw error;
if (status !== 0) process.exit(status ?? 1);
console.log(`
The object is the one that Linux loads; what Linux answered to these packets is in examples/verdicts.json, and the tests
compare. Try another port, another program (examples/README.md), or \`npx skep inspect examples/firewall.bpf.o\`.`);
