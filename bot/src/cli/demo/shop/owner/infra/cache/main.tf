variable "nodes" {
  type    = number
  default = 2
}

resource "terraform_data" "settings" {
  input = {
    engine  = "redis"
    version = "7.2"
    policy  = "allkeys-lru"
    owner   = "team-shop"
  }
}

resource "terraform_data" "node" {
  count = var.nodes

  input = {
    name   = "shop-cache-${count.index}"
    subnet = "cache"
    memory = "512 MiB"
  }
}
