locals {
  zone = "shop.example"
}

module "www" {
  source = "../../modules/record"

  name   = "www.${local.zone}"
  target = "web.${local.zone}"
}

module "status" {
  source = "../../modules/record"

  name   = "status.${local.zone}"
  target = "web.${local.zone}"
}
