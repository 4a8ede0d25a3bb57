locals {
  subnets = {
    web   = "10.0.1.0/24"
    db    = "10.0.2.0/24"
    cache = "10.0.3.0/24"
  }
}

resource "terraform_data" "vpc" {
  input = {
    name = "shop"
    cidr = "10.0.0.0/16"
  }
}

module "subnet" {
  source   = "../../modules/subnet"
  for_each = local.subnets

  name = each.key
  cidr = each.value
}

output "subnet_names" {
  value = keys(local.subnets)
}
