// The whole story beside `buildit serve`, as people live it, seen through GitHub's API, git and pages only:
// a pull request that changes two stacks, refusals, an approval, an apply; another one in line behind it, whose turn
// comes; a stack that is applied on merge; buttons, a cancelled apply, an unlock; what is kept of the state.
// Environment: as people.mjs says, for ana and ben, who may write, and eve, who may read; REPOSITORY (its full name;
// stacks network and cache are applied on comment and merge themselves by squash, edge is applied on merge; the
// checks of BuildIt are required).
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { client, env, reads, until, url, Work } from './people.mjs';

const [owner, repo] = env('REPOSITORY').split('/');
const people = { ana: client('ana'), ben: client('ben'), eve: client('eve') };
const works = { ana: new Work('ana'), ben: new Work('ben') };
const say = (text) => console.log(text);
const PLAN = 'buildit/plan';
const APPLY = 'buildit/apply';
const SUMMARY = '<!-- buildit:summary:v1 -->';

const resource = (name, input) => `resource "terraform_data" "${name}" {\n  input = "${input}"\n}\n`;

async function open(login, branch, title, files, from = 'main') {
  const work = works[login];
  work.git('fetch', '--quiet', 'origin', from);
  work.git('checkout', '--quiet', '-b', branch, 'FETCH_HEAD');
  work.commit(title, files);
  work.git('push', '--quiet', 'origin', branch);
  const made = await people[login].rest.pulls.create({ owner, repo, title, head: branch, base: 'main' });
  say(`${login} opens ${made.data.number}: ${title}`);
  return made.data.number;
}

const pulled = async (number) => (await people.eve.rest.pulls.get({ owner, repo, pull_number: number })).data;
const comments = (number) => people.eve.paginate(people.eve.rest.issues.listComments, { owner, repo, issue_number: number });
const isOurs = (comment) => comment.user.login === 'buildit[bot]' && comment.user.type === 'Bot';

async function checks(number) {
  const { head } = await pulled(number);
  const all = await people.eve.paginate(people.eve.rest.checks.listForRef, { owner, repo, ref: head.sha });
  return new Map(all.map((run) => [run.name, run]));
}

// A check once its title is this one.
function check(number, name, title) {
  return until(`${name} of ${number}: ${title}`, async () => {
    const run = (await checks(number)).get(name);
    assert.match(run?.output.title ?? 'no check', title);
    return run;
  });
}

// The one comment once it holds all of this.
function summary(number, ...parts) {
  return until(`the comment of ${number}`, async () => {
    const ours = (await comments(number)).filter((comment) => isOurs(comment) && comment.body.startsWith(SUMMARY));
    assert.equal(ours.length, 1, 'one comment, edited');
    for (const part of parts) assert.match(ours[0].body, part);
    return ours[0];
  });
}

async function tell(login, number, body) {
  await reads();
  const { id } = (await people[login].rest.issues.createComment({ owner, repo, issue_number: number, body })).data;
  say(`${login} on ${number}: ${body}`);
  return { id, number, body };
}

// Waits for the sign on a comment.
function marked({ id, body }, content) {
  return until(`${content} on ${body}`, async () => {
    const all = (await people.eve.rest.reactions.listForIssueComment({ owner, repo, comment_id: id })).data;
    return all.some((it) => it.content === content && it.user.login === 'buildit[bot]');
  });
}

// The short answer to a comment.
function reply({ id, number, body }) {
  return until(`an answer to ${body}`, async () => {
    const found = (await comments(number)).find((it) => isOurs(it) && it.body.startsWith(`<!-- buildit:reply:${id}:`));
    return found?.body;
  });
}

async function refused(login, number, body, why) {
  const comment = await tell(login, number, body);
  await marked(comment, '-1');
  assert.match(await reply(comment), why);
}

async function accepted(login, number, body) {
  await marked(await tell(login, number, body), 'eyes');
}

async function approve(login, number) {
  await reads();
  await people[login].rest.pulls.createReview({ owner, repo, pull_number: number, event: 'APPROVE', body: 'Fine.' });
  say(`${login} approves ${number}`);
}

async function merge(login, number) {
  const { head } = await pulled(number);
  await people[login].rest.pulls.merge({ owner, repo, pull_number: number, merge_method: 'squash', sha: head.sha });
  say(`${login} merges ${number}`);
}

const merged = (number) => until(`${number} is merged`, async () => {
  const pull = await pulled(number);
  return pull.merged && pull;
});

// A button that GitHub shows on its page only, so that it is pressed there.
async function press(login, number, name, form) {
  const { id } = (await checks(number)).get(name);
  const path = `${url}/${owner}/${repo}/runs/${id}`;
  const cookie = { cookie: `fake-github-as=${login}` };
  const page = await (await fetch(path, { headers: cookie })).text();
  if (form.identifier) assert.match(page, new RegExp(`name="identifier" value="${form.identifier}"`), `${name} has the button`);
  const body = new URLSearchParams({ ...form, check: id });
  const answer = await fetch(path, { method: 'POST', body, headers: { ...cookie, origin: url }, redirect: 'manual' });
  assert.equal(answer.status, 303, await answer.text());
  say(`${login} presses ${form.identifier ?? form.do} of ${name} on ${number}`);
}

// What a click on a check's details opens.
async function details(run, ...parts) {
  const answer = await fetch(run.details_url);
  assert.equal(answer.status, 200, run.details_url);
  const page = await answer.text();
  for (const part of parts) assert.match(page, part);
}

// Nothing that we write may notify anybody or link to another pull request.
function isQuiet(body) {
  assert.doesNotMatch(body, /(^|[^\w`])@[a-z]/im);
  assert.doesNotMatch(body, /(^|\s)#\d/m);
}

// Two stacks change; nothing is applied before somebody else approved.
async function grow() {
  const number = await open('ana', 'grow', 'Grow', {
    'network/main.tf': resource('vpc', '10.0.0.0/16') + 'output "cidr" {\n  value = terraform_data.vpc.input\n}\n',
    'cache/main.tf': resource('redis', 'small'),
  });
  const plan = await check(number, PLAN, /^2 of 2 stacks change: \+2 ~0 −0$/);
  assert.deepEqual([plan.status, plan.conclusion], ['completed', 'success']);
  const waits = await check(number, APPLY, /^Waits for: approvals 0 of 1$/);
  assert.equal(waits.status, 'queued');
  const head = (await pulled(number)).head.sha.slice(0, 7);
  const { body } = await summary(
    number,
    /^### 2 stacks change: 2 to add, nothing destroyed$/m,
    /^\*\*Next:\*\* approvals 0 of 1, then comment `buildit apply`\.$/m,
    /^\| 🟢 \| \[cache\]\(http[^)]*\/r\/\d+\) \| \+1 \| approvals 0 of 1 \|$/m,
    /^\| 🟢 \| \[network\]\(http[^)]*\/r\/\d+\) \| \+1 \| approvals 0 of 1 \|$/m,
    /^\+ terraform_data\.vpc$/m,
    /^! output|^\+ output\.?cidr|^\+ output cidr/m,
    new RegExp(`^<sub>${head} on main [0-9a-f]{7} · (terraform|opentofu) [0-9.]+ · .*pull request page`, 'm'),
  );
  isQuiet(body);
  for (const stack of ['cache', 'network']) {
    await details(await check(number, `plan: ${stack}`, new RegExp(`^${stack}: \\+1 ~0 −0$`)), /terraform_data/);
  }
  await details(plan, /Grow/, /2 stacks/);

  const help = await tell('ben', number, 'buildit help');
  assert.match(await reply(help), /^buildit apply +apply what is ready .*$[^]*^Here you may: all of these/m);
  const why = await tell('eve', number, 'buildit why');
  assert.match(await reply(why), /^- `network` waits for approvals 0 of 1: \+1$\n {2}- ✅ no conflicts: .*\n {2}- ⏳ approvals 0 of 1: nobody approved$/m);
  await refused('ana', number, 'buildit apply', /\*\*Refused:\*\* nothing can be applied now\. `cache`: waits for approvals 0 of 1/);
  await refused('ana', number, 'buildit apply -p cache', /\*\*Refused:\*\*/);
  await assert.rejects(people.ana.rest.pulls.merge({ owner, repo, pull_number: number }), { status: 405 });

  await approve('ben', number);
  await check(number, APPLY, /^Ready: comment "buildit apply"$/);
  await summary(number, /^\*\*Next:\*\* comment this to apply what is ready\.\n```\nbuildit apply\n```$/m, /✅ approvals 1 of 1/);
  await refused('eve', number, 'buildit apply', /\*\*Refused:\*\*.*write/);
  return number;
}

async function apply(number) {
  await accepted('ana', number, 'buildit apply --no-merge');
  const run = await check(number, APPLY, /^Applied 2 stacks in /);
  assert.deepEqual([run.status, run.conclusion], ['completed', 'success']);
  const rows = [/\| \[cache\]\S+ \| \+1 \| \[applied, 1 of 1 change\]\(http\S+\) \|/, /\| \[network\]\S+ \| \+1 \| \[applied, 1 of 1 change\]/];
  await summary(number, /^### Applied 2 stacks in /m, /^\*\*Next:\*\* merge when you like; the locks go with the merge\.$/m, ...rows);
  const link = run.output.summary.match(/^- network: \[applied, 1 of 1 change\]\((.*)\)$/m)[1];
  await details({ details_url: link }, /terraform_data\.vpc/, /Apply complete/);
  await until('deployments of both stacks', async () => {
    const made = (await people.eve.rest.repos.listDeployments({ owner, repo })).data;
    const states = made.map(async ({ id, environment }) => {
      const [last] = (await people.eve.rest.repos.listDeploymentStatuses({ owner, repo, deployment_id: id })).data;
      return `${environment}: ${last?.state}`;
    });
    assert.deepEqual((await Promise.all(states)).sort(), ['cache: success', 'network: success']);
    return true;
  });
  assert.equal((await pulled(number)).merged, false, '--no-merge');
}

// Two more want a stack that the first has locked: one goes on from where the first is, the other does not know of it.
async function line(first) {
  const behind = new RegExp(`^network: behind PR ${first} since \\d\\d:\\d\\d UTC$`);
  const waiting = (place) => new RegExp(`^network: behind PR ${first} since \\d\\d:\\d\\d UTC, ${place}$`);
  const holder = `\\[PR ${first}\\]\\(http\\S+/pull/${first}\\)`;
  const second = await open('ben', 'subnet', 'Add a subnet', { 'network/subnet.tf': resource('subnet', '10.0.1.0/24') }, 'grow');
  await check(second, APPLY, behind);
  await summary(second, new RegExp(`^\\*\\*Next:\\*\\* comment \`buildit apply\` to join the line; ${holder} has the lock`, 'm'));
  await approve('ana', second);
  await accepted('ben', second, 'buildit apply');
  const run = await check(second, APPLY, waiting('1st'));
  assert.equal(run.status, 'queued', 'waiting is never red');
  await summary(
    second,
    /^### 2 stacks: 1 with changes, 1 unchanged$/m,
    new RegExp(`lock of ${holder} since \\d\\d:\\d\\d UTC; 1st in line`),
    new RegExp(`^\\*\\*Next:\\*\\* nothing to do; 1st in line behind ${holder}, which has the lock since \\d\\d:\\d\\d UTC\\.`, 'm'),
  );
  const why = await tell('eve', second, 'buildit why');
  assert.match(await reply(why), new RegExp(`\`network\` waits for lock of ${holder} since \\d\\d:\\d\\d UTC; 1st in line: \\+1`));

  const third = await open('ben', 'route', 'Add a route', { 'network/route.tf': resource('route', '0.0.0.0/0') });
  await summary(
    third,
    /^### `network`: 1 to add, \*\*1 to destroy\*\*$/m,
    new RegExp(`Would undo ${holder}, which is applied and not merged: \`terraform_data\\.vpc\``),
  );
  await approve('ana', third);
  await accepted('ben', third, 'buildit apply');
  await check(third, APPLY, waiting('2nd'));

  await accepted('ben', second, 'buildit unlock');
  await check(second, APPLY, behind);
  await check(third, APPLY, waiting('1st'));
  await accepted('ben', third, 'buildit unlock');
  await check(third, APPLY, behind);
  await accepted('ben', second, 'buildit apply');
  await accepted('ben', third, 'buildit apply');
  await check(second, APPLY, waiting('1st'));
  await check(third, APPLY, waiting('2nd'));
  const before = (await checks(third)).get('plan: network').details_url;

  await merge('ben', first);
  await merged(first);
  // The second's turn: its plan is the one that was approved.
  const { merged_by, merge_commit_sha } = await merged(second);
  assert.equal(merged_by.login, 'buildit[bot]');
  await check(second, APPLY, /^Applied 1 stack in /);
  await summary(second, /^### Applied 1 stack in /m, /^\*\*Next:\*\* nothing to do\.$/m);
  await summary(first, /^### Applied 2 stacks in /m, /^\*\*Next:\*\* nothing to do\.$/m);
  // The third's turn: it was planned again, and nobody approved this plan.
  const base = new RegExp(` on main ${merge_commit_sha.slice(0, 7)} `);
  await summary(third, base, /^### `network`: 1 to add, nothing destroyed$/m, /^\*\*Next:\*\* approvals 0 of 1, then comment `buildit apply`\.$/m);
  const held = await check(third, APPLY, /^Waits for: approvals 0 of 1$/);
  assert.notEqual((await checks(third)).get('plan: network').details_url, before);
  assert.match(held.output.summary, /⏳ approvals 0 of 1: not counted: ana \(for another plan/);
  await approve('ana', third);
  await check(third, APPLY, /^Ready: comment "buildit apply"$/);
  await accepted('ben', third, 'buildit apply');
  assert.equal((await merged(third)).merged_by.login, 'buildit[bot]');
}

// A stack that is applied on merge.
async function edge() {
  const number = await open('ana', 'edge', 'Add an edge', { 'edge/main.tf': resource('gateway', 'one') });
  await check(number, APPLY, /^Merging now would not apply: approvals 0 of 1$/);
  await summary(number, /^\*\*Next:\*\* approvals 0 of 1, then merge\. It is applied right after the merge\.$/m);
  await refused('ana', number, 'buildit apply', /it is applied right after the merge/);
  await approve('ben', number);
  const ready = await check(number, APPLY, /^Ready: 1 stack applied on merge$/);
  assert.equal(ready.conclusion, 'success');
  await merge('ana', number);
  const run = await check(number, APPLY, /^Applied 1 stack in /);
  assert.equal(run.conclusion, 'success');
  await summary(number, /^### Applied 1 stack in /m);
}

// Buttons, an apply that somebody stops, and its lock.
async function stop() {
  const gate = join(works.ana.folder, '..', `gate-${process.pid}`);
  execFileSync('mkfifo', [gate]);
  const waits = `resource "terraform_data" "slow" {\n  provisioner "local-exec" {\n    command = "read word <'${gate}'"\n  }\n}\n`;
  const number = await open('ana', 'slow', 'Take long', { 'cache/slow.tf': waits });
  await check(number, PLAN, /^cache: \+1 ~0 −0$/);
  await approve('ben', number);
  await check(number, APPLY, /^Ready: comment "buildit apply"$/);

  const again = async (login, name, form) => {
    const before = (await checks(number)).get('plan: cache').details_url;
    await press(login, number, name, form);
    await until('planned again', async () => {
      const run = (await checks(number)).get('plan: cache');
      return run.details_url !== before && run.status === 'completed';
    });
    await check(number, PLAN, /^cache: \+1 ~0 −0$/);
  };
  await again('ben', PLAN, { do: 'press', identifier: 'replan' });
  await again('ana', 'plan: cache', { do: 'rerun' });
  await check(number, APPLY, /^Ready: comment "buildit apply"$/);

  await reads();
  await press('ana', number, PLAN, { do: 'press', identifier: 'apply' });
  const run = await check(number, APPLY, /^Applying cache: 0 of 1 change$/);
  assert.equal(run.status, 'in_progress');
  await summary(number, /^### Applying `cache`: 0 of 1 change$/m);
  await refused('ben', number, 'buildit unlock', /\*\*Refused:\*\* `cache` is being applied; `buildit cancel` stops that first/);
  await accepted('ana', number, 'buildit cancel');
  const stopped = await check(number, APPLY, /^cache failed after 0 of 1 change$/);
  assert.equal(stopped.conclusion, 'failure');
  await summary(number, /^### Apply stopped: `cache` failed after 0 of 1 change$/m);
  await accepted('ana', number, 'buildit unlock');
  await people.ana.rest.pulls.update({ owner, repo, pull_number: number, state: 'closed' });
}

// What was applied is what the next plan begins with.
async function kept() {
  const number = await open('ben', 'wider', 'Widen', { 'network/main.tf': resource('vpc', '10.0.0.0/8') });
  await check(number, PLAN, /^network: \+0 ~1 −0$/);
  await summary(number, /^! terraform_data\.vpc$/m, /^-? +input += "10\.0\.0\.0\/16"|"10\.0\.0\.0\/16" → "10\.0\.0\.0\/8"/m);
}

try {
  for (const work of Object.values(works)) {
    work.git('init', '--quiet', '--initial-branch', 'unused', '.');
    work.git('remote', 'add', 'origin', `${url}/${owner}/${repo}.git`);
  }
  const first = await grow();
  await apply(first);
  await line(first);
  await edge();
  await stop();
  await kept();
  const everything = [];
  for (let number = 1; number <= 6; number += 1) everything.push(...(await comments(number)));
  everything.filter(isOurs).forEach(({ body }) => isQuiet(body));
  const issues = (await people.eve.rest.issues.listForRepo({ owner, repo, state: 'all', creator: 'buildit[bot]' })).data;
  assert.deepEqual(issues.map((issue) => issue.title), []);
  say('told');
} finally {
  Object.values(works).forEach((work) => work.remove());
}
