variable "name" {
  type = string
}

variable "cidr" {
  type = string
}

resource "terraform_data" "subnet" {
  input = {
    name   = var.name
    cidr   = var.cidr
    public = false
  }
}

output "id" {
  value = terraform_data.subnet.id
}
