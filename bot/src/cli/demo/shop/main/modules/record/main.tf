variable "name" {
  type = string
}

variable "type" {
  type    = string
  default = "CNAME"
}

variable "target" {
  type = string
}

resource "terraform_data" "record" {
  input = {
    name   = var.name
    type   = var.type
    target = var.target
    ttl    = 300
  }
}
