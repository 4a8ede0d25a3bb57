// Walks through a pull request as people do, with @octokit/rest and git:
// creates a repository, pushes, opens, comments, reviews, reads checks, merges; squashes a second one; opens and closes
// an issue; records a deployment.
// Environment: GITHUB_URL, GITHUB_API_URL, ANA_TOKEN, BEN_TOKEN, OWNER (an organisation of both),
// NAME (of the repository; default octokit). Two hooks for a run beside `buildit serve`:
// AFTER_CREATE (a command run with the full name once the repository is there) and
// WAIT_FOR_CHECK (a name: waits until that check is completed on the head).
// The last line of the output is a JSON summary.
import { Octokit } from '@octokit/rest';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import assert from 'node:assert/strict';

const env = (name) => process.env[name] ?? assert.fail(`set ${name}`);
const url = env('GITHUB_URL');
const client = (auth) => new Octokit({ auth, baseUrl: env('GITHUB_API_URL') });
const ana = client(env('ANA_TOKEN'));
const ben = client(env('BEN_TOKEN'));
const owner = env('OWNER');
const repo = process.env.NAME ?? 'octokit';
const say = (text) => console.log(text);

const work = mkdtempSync(join(tmpdir(), 'github-client-'));
function git(...args) {
  const basic = Buffer.from(`ana:${env('ANA_TOKEN')}`).toString('base64');
  // The header goes by the environment: nobody sees it in a list of processes.
  const config = { GIT_CONFIG_COUNT: '1', GIT_CONFIG_KEY_0: 'http.extraHeader', GIT_CONFIG_VALUE_0: `Authorization: Basic ${basic}` };
  const who = { GIT_AUTHOR_NAME: 'ana', GIT_AUTHOR_EMAIL: 'ana@users.noreply.github.com', GIT_COMMITTER_NAME: 'ana', GIT_COMMITTER_EMAIL: 'ana@users.noreply.github.com' };
  const clean = { GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_NOSYSTEM: '1', GIT_TERMINAL_PROMPT: '0' };
  return execFileSync('git', args, { cwd: work, env: { ...process.env, ...clean, ...config, ...who }, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
}
function write(files) {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(work, path)), { recursive: true });
    writeFileSync(join(work, path), content);
  }
}

// Two commits of two people become one; the repository allows nothing else.
async function squash() {
  await ana.rest.repos.update({ owner, repo, allow_merge_commit: false, allow_rebase_merge: false, delete_branch_on_merge: true });
  const base = (await ana.rest.repos.getBranch({ owner, repo, branch: 'main' })).data.commit.sha;
  await ana.rest.git.createRef({ owner, repo, ref: 'refs/heads/words', sha: base });
  const content = Buffer.from('# Words\n').toString('base64');
  await ana.rest.repos.createOrUpdateFileContents({ owner, repo, branch: 'words', path: 'README.md', message: 'Add words', content });
  await ben.rest.repos.createOrUpdateFileContents({ owner, repo, branch: 'words', path: 'MORE.md', message: 'Add more', content });
  const pull_number = (await ana.rest.pulls.create({ owner, repo, title: 'Words', head: 'words', base: 'main' })).data.number;
  await assert.rejects(ben.rest.pulls.merge({ owner, repo, pull_number, merge_method: 'merge' }), { status: 405 });
  const { sha } = (await ben.rest.pulls.merge({ owner, repo, pull_number, merge_method: 'squash' })).data;
  const { commit, parents } = (await ana.rest.repos.getCommit({ owner, repo, ref: sha })).data;
  assert.equal(commit.message.split('\n')[0], `Words (#${pull_number})`);
  assert.match(commit.message, /Co-authored-by: ben </);
  assert.deepEqual(parents.map((parent) => parent.sha), [base]);
  const brought = (await ana.rest.repos.listPullRequestsAssociatedWithCommit({ owner, repo, commit_sha: sha })).data;
  assert.deepEqual(brought.map((pull) => pull.number), [pull_number]);
  await assert.rejects(ana.rest.repos.getBranch({ owner, repo, branch: 'words' }), { status: 404 });
}

async function ask() {
  const issue_number = (await ben.rest.issues.create({ owner, repo, title: 'Who pushed?', body: 'Tell.' })).data.number;
  await ana.rest.issues.createComment({ owner, repo, issue_number, body: 'I did.' });
  await ana.rest.issues.update({ owner, repo, issue_number, state: 'closed', state_reason: 'completed' });
  const open = await ana.paginate(ana.rest.issues.listForRepo, { owner, repo, creator: 'ben' });
  assert.deepEqual(open, []);
  const all = await ana.paginate(ana.rest.issues.listForRepo, { owner, repo, creator: 'ben', state: 'all', per_page: 1 });
  assert.deepEqual(all.map((issue) => [issue.number, issue.state_reason]), [[issue_number, 'completed']]);
}

async function deploy(ref) {
  const more = { environment: 'network', auto_merge: false, required_contexts: [], payload: { run: 7 } };
  const deployment_id = (await ana.rest.repos.createDeployment({ owner, repo, ref, ...more })).data.id;
  for (const state of ['in_progress', 'success']) {
    await ana.rest.repos.createDeploymentStatus({ owner, repo, deployment_id, state, log_url: 'https://buildit.example/r/7' });
  }
  const statuses = (await ben.rest.repos.listDeploymentStatuses({ owner, repo, deployment_id })).data;
  assert.deepEqual(statuses.map((status) => status.state), ['success', 'in_progress']);
}

try {
  const me = await ana.rest.users.getAuthenticated();
  say(`I am ${me.data.login}`);
  const made = await ana.rest.repos.createInOrg({ org: owner, name: repo, private: true });
  assert.equal(made.status, 201);
  if (process.env.AFTER_CREATE) execFileSync('sh', ['-c', `${process.env.AFTER_CREATE} ${owner}/${repo}`], { stdio: 'inherit' });

  git('init', '--quiet', '--initial-branch', 'main', '.');
  write({ '.buildit/stacks.kdl': 'stack "network"\n', 'network/main.tf': 'resource "terraform_data" "net" {}\n' });
  git('add', '.');
  git('commit', '--quiet', '-m', 'First');
  git('push', '--quiet', `${url}/${owner}/${repo}.git`, 'main');
  git('checkout', '--quiet', '-b', 'bucket');
  write({ 'network/bucket.tf': 'resource "terraform_data" "bucket" {}\n' });
  git('add', '.');
  git('commit', '--quiet', '-m', 'Add a bucket');
  git('push', '--quiet', `${url}/${owner}/${repo}.git`, 'bucket');
  const head = git('rev-parse', 'HEAD').trim();

  const branches = await ana.paginate(ana.rest.repos.listBranches, { owner, repo, per_page: 1 });
  assert.deepEqual(branches.map((branch) => branch.name).sort(), ['bucket', 'main']);

  const pull = (await ana.rest.pulls.create({ owner, repo, title: 'Add a bucket', head: 'bucket', base: 'main', body: 'Please.' })).data;
  assert.equal(pull.head.sha, head);
  const pull_number = pull.number;
  await ana.rest.pulls.update({ owner, repo, pull_number, title: 'Add a bucket, please' });
  await ana.rest.issues.setLabels({ owner, repo, issue_number: pull_number, labels: ['infra'] });
  const files = (await ben.rest.pulls.listFiles({ owner, repo, pull_number })).data;
  assert.deepEqual(files.map((file) => file.filename), ['network/bucket.tf']);

  if (process.env.WAIT_FOR_CHECK) {
    const deadline = Date.now() + 300_000;
    for (;;) {
      const { check_runs } = (await ana.rest.checks.listForRef({ owner, repo, ref: head })).data;
      const run = check_runs.find((run) => run.name === process.env.WAIT_FOR_CHECK);
      // The comment follows the checks.
      const told = (await ana.rest.issues.listComments({ owner, repo, issue_number: pull_number })).data;
      if (run?.status === 'completed' && told.some((comment) => comment.user.type === 'Bot')) {
        say(`${run.name}: ${run.conclusion}, ${run.output.title}`);
        break;
      }
      assert.ok(Date.now() < deadline, `${process.env.WAIT_FOR_CHECK} was not completed and told within five minutes`);
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  }

  const comment = (await ana.rest.issues.createComment({ owner, repo, issue_number: pull_number, body: 'buildit plan' })).data;
  await ana.rest.issues.updateComment({ owner, repo, comment_id: comment.id, body: 'buildit plan all' });
  await ben.rest.reactions.createForIssueComment({ owner, repo, comment_id: comment.id, content: '+1' });
  await assert.rejects(ana.rest.pulls.createReview({ owner, repo, pull_number, event: 'APPROVE' }), { status: 422 });
  await ben.rest.pulls.createReview({ owner, repo, pull_number, event: 'APPROVE', body: 'fine' });

  const checks = (await ben.rest.checks.listForRef({ owner, repo, ref: 'bucket' })).data;
  const comments = await ben.paginate(ben.rest.issues.listComments, { owner, repo, issue_number: pull_number });
  const reviews = (await ben.rest.pulls.listReviews({ owner, repo, pull_number })).data;
  const before = (await ben.rest.pulls.get({ owner, repo, pull_number })).data;
  assert.equal(before.mergeable, true);
  const merged = (await ben.rest.pulls.merge({ owner, repo, pull_number, merge_method: 'merge', sha: head })).data;
  assert.equal((await ben.rest.pulls.get({ owner, repo, pull_number })).data.merged_by.login, 'ben');
  await squash();
  await ask();
  await deploy(merged.sha);
  say(JSON.stringify({ merged: merged.merged, checks: checks.total_count, comments: comments.length, reviews: reviews.length }));
} finally {
  rmSync(work, { recursive: true, force: true });
}
