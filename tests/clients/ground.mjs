// What `run` has set up, and a suite that tells of its cases: ground.py in JavaScript.

import { readFileSync } from "node:fs";

export const ground = JSON.parse(readFileSync(process.env.GEMINID_CLIENTS_GROUND, "utf8"));

let passed = 0;
let failed = 0;

export async function test(name, run) {
  try {
    await run();
    passed += 1;
    console.log(`ok     ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED ${name}\n${error?.stack ?? JSON.stringify(error)}`);
  }
}

export function end() {
  console.log(`${passed} passed, ${failed} failed`);
  process.exitCode = failed > 0 ? 1 : 0;
}

/// What `run` throws; it is a failure if it throws nothing.
export async function thrown(run) {
  let value;
  try {
    value = await run();
  } catch (error) {
    return error;
  }
  throw new Error(`nothing was thrown, but returned: ${JSON.stringify(value)}`);
}
