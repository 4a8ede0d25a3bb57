//! The summary comment, held word for word.

use super::*;

#[test]
fn one_stack() {
    assert_snapshot!(comment_of(stacks(vec![row("network", 1042, planned(network()))])), @r#"
    <!-- buildit:summary:v1 -->
    ### `network`: 1 to add, 1 to change, nothing destroyed

    **Next:** review the plan. Nothing is applied from here.

    <details open><summary>Plan of <code>infra/network</code></summary>

    ```diff
    + aws_subnet.private["c"]
    +     availability_zone       = "eu-west-1c"
    +     cidr_block              = "10.0.3.0/24"
    +     id                      = (known after apply)

    ! aws_route_table.private
    -     route[0].nat_gateway_id = "nat-0a1f"
    +     route[0].nat_gateway_id = (known after apply)
          # 6 unchanged attributes

    ! output private_subnet_ids   = 2 items → 3 items
    ```
    </details>

    <sub>a1b2c3d on main 9f8e7d6 · opentofu 1.10.3 · 41 s · [run 1042](https://buildit.example/r/1042) · [pull request page](https://buildit.example/acme/infra/pull/142) · <code>buildit help</code></sub>
    "#);
}

#[test]
fn many_stacks() {
    assert_snapshot!(comment_of(stacks(many())), @r#"
    <!-- buildit:summary:v1 -->
    ### 6 stacks: 1 failed, 3 with changes, 2 unchanged · **1 database would be destroyed**

    **Next:** mend `cluster`, then push and review the other plans.

    > [!CAUTION]
    > `database` replaces, and so destroys, **`aws_db_instance.main`** (database): `deletion_protection = false`, `skip_final_snapshot = true`. Why: cannot be changed in place: engine\_version.

    | | Stack | Plan | Waits for |
    |:-:|:--|:--|:--|
    | ❌ | [cluster](https://buildit.example/r/1043) | init failed | a fix: S3 bucket "acme-tfstate-prod" does not exist |
    | 🔴 | [database](https://buildit.example/r/1045) | +1 **−1** (1 replaced) | review |
    | 🔴 | [dns](https://buildit.example/r/1047) | ~1 **−1**, 1 moved | review |
    | 🟢 | [network](https://buildit.example/r/1046) | +1 ~1 | review |
    | ⚪ | audit and iam | no changes | |

    <details open><summary>❌ <b>cluster</b>: init failed</summary>

    ```
    Error: Failed to get existing workspaces: S3 bucket "acme-tfstate-prod" does not exist.
      on infra/cluster/backend.tf line 4
    ```
    [Full log](https://buildit.example/r/1043)
    </details>
    <details><summary>🔴 <b>database</b>: +1 −1 (1 replaced)</summary>

    ```diff
    - aws_db_instance.main (destroyed, then created anew)
          # cannot be changed in place: engine_version
    -     engine_version = "15.4"  # forces the replacement
    +     engine_version = "16.3"  # forces the replacement
    !     password       = (sensitive value, it changes)
          # 31 unchanged attributes
    ```
    </details>
    <details><summary>🔴 <b>dns</b>: ~1 −1, 1 moved</summary>

    Since your last push (4f2c91e): same plan.

    ````diff
    - aws_s3_object.x
          # it is no longer in the configuration

    ! aws_instance.web
    !     user_data = <<-EOT
              # 2 unchanged lines
              line 3
              line 4
              line 5
    -         line 6
    +         line six
    +         line 6b
              line 7
              line 8
              line 9
              # 3 unchanged lines
          EOT
    +     policy    = <<-EOT
    +         {
    +           ```
    +         }
    +     EOT

    ! aws_iam_role.new (moved from aws_iam_role.old)
    ````
    </details>
    <details><summary>🟢 <b>network</b>: +1 ~1</summary>

    ```diff
    + aws_subnet.private["c"]
    +     availability_zone       = "eu-west-1c"
    +     cidr_block              = "10.0.3.0/24"
    +     id                      = (known after apply)

    ! aws_route_table.private
    -     route[0].nat_gateway_id = "nat-0a1f"
    +     route[0].nat_gateway_id = (known after apply)
          # 6 unchanged attributes

    ! output private_subnet_ids   = 2 items → 3 items
    ```
    </details>

    <sub>a1b2c3d on main 9f8e7d6 · opentofu 1.10.3 · 41 s · [pull request page](https://buildit.example/acme/infra/pull/142) · <code>buildit help</code></sub>
    "#);
}

#[test]
fn one_failed_stack() {
    assert_snapshot!(comment_of(stacks(vec![row("cluster", 1043, RowStatus::Failed(failure()))])), @r#"
    <!-- buildit:summary:v1 -->
    ### `cluster`: init failed

    **Next:** correct `infra/cluster/backend.tf:4`, then push.

    ```
    Error: Failed to get existing workspaces: S3 bucket "acme-tfstate-prod" does not exist.
      on infra/cluster/backend.tf line 4
    ```
    [Full log](https://buildit.example/r/1043)

    <sub>a1b2c3d on main 9f8e7d6 · opentofu 1.10.3 · 41 s · [run 1043](https://buildit.example/r/1043) · [pull request page](https://buildit.example/acme/infra/pull/142) · <code>buildit help</code></sub>
    "#);
}

#[test]
fn no_changes() {
    assert_snapshot!(comment_of(stacks(vec![row("a", 1, RowStatus::NoChange), row("b", 2, RowStatus::NoChange)])), @r#"
    <!-- buildit:summary:v1 -->
    ### No changes in 2 stacks

    **Next:** nothing to apply.

    | | Stack | Plan | Waits for |
    |:-:|:--|:--|:--|
    | ⚪ | a and b | no changes | |

    <sub>a1b2c3d on main 9f8e7d6 · opentofu 1.10.3 · 41 s · [pull request page](https://buildit.example/acme/infra/pull/142) · <code>buildit help</code></sub>
    "#);
}

#[test]
fn notes_stand_below() {
    let mut view = view(stacks(vec![row("a", 1, RowStatus::NoChange)]));
    view.notes.unclaimed = vec![RelPath::parse("envs/x.tfvars").expect("valid")];
    view.notes.removed = vec!["old".parse().expect("valid")];
    let paths = (RelPath::parse("a").expect("valid"), RelPath::parse("b").expect("valid"));
    view.notes.moved = vec![("m".parse().expect("valid"), paths.0, paths.1)];
    view.notes.not_yet = vec![NotYet { what: "pipeline `ci`".to_owned(), at: Some(span(".buildit/ci.kdl", 2)) }];
    view.notes.our_merge = true;
    view.notes.warnings = vec![Diagnostic::warning("x", "file `a.tf` cannot be parsed").at(span("infra/a.tf", 3))];
    assert_snapshot!(summary(&Summary { view }), @r#"
    <!-- buildit:summary:v1 -->
    ### No changes in `a`

    **Next:** nothing to apply.

    - ⚠️ infra/a.tf line 3: file `a.tf` cannot be parsed
    - ⚠️ No stack owns `envs/x.tfvars`. If one reads it, name it there with `watch`.
    - Removed by this pull request: `old`. What they made is not destroyed by it.
    - `m` moves from `a` to `b`
    - Not in this version: pipeline `ci` (`.buildit/ci.kdl:2`)
    - Planned on a merge made by BuildIt, since GitHub's was not of this head and base.

    <sub>a1b2c3d on main 9f8e7d6 · opentofu 1.10.3 · 41 s · [run 1](https://buildit.example/r/1) · [pull request page](https://buildit.example/acme/infra/pull/142) · <code>buildit help</code></sub>
    "#);
}
