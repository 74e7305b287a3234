// What the test gives to a script, and what the script tells the test: JSON both ways.
export const given = JSON.parse(process.argv[2]);

export function tell(value) {
  process.stdout.write(JSON.stringify(value));
}
