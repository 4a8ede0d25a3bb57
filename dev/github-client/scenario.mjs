// Walks through a pull request as people do, with @octokit/rest and git:
// creates a repository, pushes, opens, comments, reviews, reads checks, merges; squashes a second one; opens and closes
// an issue; records a deployment.
// Environment: GITHUB_URL, GITHUB_API_URL, ANA_TOKEN, BEN_TOKEN, OWNER (an organisation of both),
// NAME (of the repository; default octokit). Two hooks for a run beside `buildit serve`:
// AFTER_CREATE (a command run with the full name once the repository is there) and
// WAIT_FOR_CHECK (a name: waits until that check is completed on the head).
// The last line of the output is a JSON summary.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { client, env, url, until, Work } from './people.mjs';

const ana = client('ana');
const ben = client('ben');
const owner = env('OWNER');
const repo = process.env.NAME ?? 'octokit';
const say = (text) => console.log(text);
const work = new Work('ana');
const git = (...args) => work.git(...args);

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
  work.commit('First', { '.buildit/stacks.kdl': 'stack "network"\n', 'network/main.tf': 'resource "terraform_data" "net" {}\n' });
  git('push', '--quiet', `${url}/${owner}/${repo}.git`, 'main');
  git('checkout', '--quiet', '-b', 'bucket');
  const head = work.commit('Add a bucket', { 'network/bucket.tf': 'resource "terraform_data" "bucket" {}\n' });
  git('push', '--quiet', `${url}/${owner}/${repo}.git`, 'bucket');

  const branches = await ana.paginate(ana.rest.repos.listBranches, { owner, repo, per_page: 1 });
  assert.deepEqual(branches.map((branch) => branch.name).sort(), ['bucket', 'main']);

  const pull = (await ana.rest.pulls.create({ owner, repo, title: 'Add a bucket', head: 'bucket', base: 'main', body: 'Please.' })).data;
  assert.equal(pull.head.sha, head);
  const pull_number = pull.number;
  await ana.rest.pulls.update({ owner, repo, pull_number, title: 'Add a bucket, please' });
  await ana.rest.issues.setLabels({ owner, repo, issue_number: pull_number, labels: ['infra'] });
  const files = (await ben.rest.pulls.listFiles({ owner, repo, pull_number })).data;
  assert.deepEqual(files.map((file) => file.filename), ['network/bucket.tf']);

  const awaited = process.env.WAIT_FOR_CHECK;
  if (awaited) {
    const run = await until(`${awaited} is completed and told`, async () => {
      const { check_runs } = (await ana.rest.checks.listForRef({ owner, repo, ref: head })).data;
      // The comment follows the checks.
      const told = (await ana.rest.issues.listComments({ owner, repo, issue_number: pull_number })).data;
      const isTold = told.some((comment) => comment.user.type === 'Bot');
      return check_runs.find((run) => run.name === awaited && run.status === 'completed' && isTold);
    });
    say(`${run.name}: ${run.conclusion}, ${run.output.title}`);
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
  work.remove();
}
