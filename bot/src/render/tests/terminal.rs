//! What a terminal shows, held word for word.

use super::*;

#[test]
fn on_a_terminal() {
    assert_snapshot!(terminal(&Summary { view: view(stacks(many())) }), @r#"
    6 stacks: 1 failed, 3 with changes, 2 unchanged · 1 database would be destroyed
      DANGER  database destroys aws_db_instance.main (database)

      cluster   init failed: S3 bucket "acme-tfstate-prod" does not exist  41 s
      database  +1 −1 (1 replaced)  41 s
      dns       ~1 −1, 1 moved  41 s
      network   +1 ~1  41 s
      audit     no changes  41 s
      iam       no changes  41 s

    cluster: init failed
      Error: Failed to get existing workspaces: S3 bucket "acme-tfstate-prod" does not exist.
        on infra/cluster/backend.tf line 4

    database (infra/database)
      - aws_db_instance.main (destroyed, then created anew)
            # cannot be changed in place: engine_version
      -     engine_version = "15.4"  # forces the replacement
      +     engine_version = "16.3"  # forces the replacement
      !     password       = (sensitive value, it changes)
            # 31 unchanged attributes

    dns (infra/dns)
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

    network (infra/network)
      + aws_subnet.private["c"]
      +     availability_zone       = "eu-west-1c"
      +     cidr_block              = "10.0.3.0/24"
      +     id                      = (known after apply)

      ! aws_route_table.private
      -     route[0].nat_gateway_id = "nat-0a1f"
      +     route[0].nat_gateway_id = (known after apply)
            # 6 unchanged attributes

      ! output private_subnet_ids   = 2 items → 3 items
    "#);
}
