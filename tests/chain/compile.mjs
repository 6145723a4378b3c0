// Compiles contracts/*.sol and writes one JSON file: contract → { abi, creation, runtime }, codes as hex without 0x.
// Usage: node compile.mjs FILE. Errors go to standard error, exit code 1.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import solc from "solc";

const target = process.argv[2];
if (!target) {
  console.error("usage: node compile.mjs FILE");
  process.exit(2);
}
const folder = join(dirname(fileURLToPath(import.meta.url)), "contracts");
const names = readdirSync(folder).filter((name) => name.endsWith(".sol"));
const sources = Object.fromEntries(
  names.map((name) => [name, { content: readFileSync(join(folder, name), "utf8") }]),
);

// One run: all doubles are created by one transaction, whose code is limited.
const settings = {
  optimizer: { enabled: true, runs: 1 },
  metadata: { appendCBOR: false },
  outputSelection: {
    "*": { "*": ["abi", "evm.bytecode.object", "evm.deployedBytecode.object"] },
  },
};
const output = JSON.parse(
  solc.compile(JSON.stringify({ language: "Solidity", sources, settings })),
);

const complaints = (output.errors ?? []).map((one) => one.formattedMessage);
if (complaints.length > 0) {
  console.error(complaints.join("\n"));
  process.exit(1);
}

const doubles = {};
for (const contracts of Object.values(output.contracts)) {
  for (const [name, { abi, evm }] of Object.entries(contracts)) {
    doubles[name] = {
      abi,
      creation: evm.bytecode.object,
      runtime: evm.deployedBytecode.object,
    };
  }
}
writeFileSync(target, JSON.stringify(doubles));
