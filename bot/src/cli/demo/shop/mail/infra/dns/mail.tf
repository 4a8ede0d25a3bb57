locals {
  mail = "mx.mail.example"
}

module "mail" {
  source = "../../modules/record"

  name   = local.zone
  type   = "MX"
  target = local.mial
}
