package schemas

// The kinds of message. Append only: the number is never written, but keeps switches dense.
const (
	KindMalformed Kind = iota
	KindPlaceOrder
	KindCancelOrder
	KindRequestStatus
	KindStockReply
	KindPaymentReply
	KindOrderDeadlineReached
	KindOrderCreated
	KindOrderConfirmed
	KindOrderRejected
	KindOrderExpired
	KindOrderCancellationRequested
	KindOrderCancelled
	KindOrderRow
	KindAuthorizePayment
	KindCapturePayment
	KindVoidPayment
	KindRefundPayment
	KindReconcilePayment
	KindCancelPayment
	KindPaymentProcessed
	KindAddProduct
	KindAdjustStock
	KindReserveStock
	KindReleaseStock
	KindProductAdded
	KindInventoryUpdated
	KindInventoryLow
	KindBackInStock
	KindProductRow
	KindRegisterCustomer
	KindLoginRow
	KindCreateCustomer
	KindCustomerRegistered
	KindCustomerRow
	KindCommandRefused
	KindCommandRepeated
	KindSecretAdopted
	kinds
)

// register is every message of the system, by kind.
var register = [kinds]Info{
	KindMalformed:                  {Name: "Malformed"},
	KindPlaceOrder:                 {Name: "oms.order.PlaceOrder", Class: CommandClass, New: func() Message { return new(PlaceOrder) }},
	KindCancelOrder:                {Name: "oms.order.CancelOrder", Class: CommandClass, New: func() Message { return new(CancelOrder) }},
	KindRequestStatus:              {Name: "oms.order.RequestStatus", Class: CommandClass, New: func() Message { return new(RequestStatus) }},
	KindStockReply:                 {Name: "oms.order.StockReply", Class: ReplyClass, New: func() Message { return new(StockReply) }},
	KindPaymentReply:               {Name: "oms.order.PaymentReply", Class: ReplyClass, New: func() Message { return new(PaymentReply) }},
	KindOrderDeadlineReached:       {Name: "oms.order.OrderDeadlineReached", Class: CommandClass, New: func() Message { return new(OrderDeadlineReached) }},
	KindOrderCreated:               {Name: "oms.order.OrderCreated", Class: FactClass, New: func() Message { return new(OrderCreated) }},
	KindOrderConfirmed:             {Name: "oms.order.OrderConfirmed", Class: FactClass, New: func() Message { return new(OrderConfirmed) }},
	KindOrderRejected:              {Name: "oms.order.OrderRejected", Class: FactClass, New: func() Message { return new(OrderRejected) }},
	KindOrderExpired:               {Name: "oms.order.OrderExpired", Class: FactClass, New: func() Message { return new(OrderExpired) }},
	KindOrderCancellationRequested: {Name: "oms.order.OrderCancellationRequested", Class: FactClass, New: func() Message { return new(OrderCancellationRequested) }},
	KindOrderCancelled:             {Name: "oms.order.OrderCancelled", Class: FactClass, New: func() Message { return new(OrderCancelled) }},
	KindOrderRow:                   {Name: "oms.order.OrderRow", Class: StateClass, New: func() Message { return new(OrderRow) }},
	KindAuthorizePayment:           {Name: "oms.payment.AuthorizePayment", Class: RequestClass, New: func() Message { return new(AuthorizePayment) }},
	KindCapturePayment:             {Name: "oms.payment.CapturePayment", Class: RequestClass, New: func() Message { return new(CapturePayment) }},
	KindVoidPayment:                {Name: "oms.payment.VoidPayment", Class: RequestClass, New: func() Message { return new(VoidPayment) }},
	KindRefundPayment:              {Name: "oms.payment.RefundPayment", Class: RequestClass, New: func() Message { return new(RefundPayment) }},
	KindReconcilePayment:           {Name: "oms.payment.ReconcilePayment", Class: RequestClass, New: func() Message { return new(ReconcilePayment) }},
	KindCancelPayment:              {Name: "oms.payment.CancelPayment", Class: RequestClass, New: func() Message { return new(CancelPayment) }},
	KindPaymentProcessed:           {Name: "oms.payment.PaymentProcessed", Class: FactClass, New: func() Message { return new(PaymentProcessed) }},
	KindAddProduct:                 {Name: "oms.product.AddProduct", Class: CommandClass, New: func() Message { return new(AddProduct) }},
	KindAdjustStock:                {Name: "oms.product.AdjustStock", Class: CommandClass, New: func() Message { return new(AdjustStock) }},
	KindReserveStock:               {Name: "oms.product.ReserveStock", Class: CommandClass, New: func() Message { return new(ReserveStock) }},
	KindReleaseStock:               {Name: "oms.product.ReleaseStock", Class: CommandClass, New: func() Message { return new(ReleaseStock) }},
	KindProductAdded:               {Name: "oms.product.ProductAdded", Class: FactClass, New: func() Message { return new(ProductAdded) }},
	KindInventoryUpdated:           {Name: "oms.inventory.InventoryUpdated", Class: FactClass, New: func() Message { return new(InventoryUpdated) }},
	KindInventoryLow:               {Name: "oms.inventory.InventoryLow", Class: FactClass, New: func() Message { return new(InventoryLow) }},
	KindBackInStock:                {Name: "oms.inventory.BackInStock", Class: FactClass, New: func() Message { return new(BackInStock) }},
	KindProductRow:                 {Name: "oms.product.ProductRow", Class: StateClass, New: func() Message { return new(ProductRow) }},
	KindRegisterCustomer:           {Name: "oms.login.RegisterCustomer", Class: CommandClass, New: func() Message { return new(RegisterCustomer) }},
	KindLoginRow:                   {Name: "oms.login.LoginRow", Class: StateClass, New: func() Message { return new(LoginRow) }},
	KindCreateCustomer:             {Name: "oms.customer.CreateCustomer", Class: CommandClass, New: func() Message { return new(CreateCustomer) }},
	KindCustomerRegistered:         {Name: "oms.customer.CustomerRegistered", Class: FactClass, New: func() Message { return new(CustomerRegistered) }},
	KindCustomerRow:                {Name: "oms.customer.CustomerRow", Class: StateClass, New: func() Message { return new(CustomerRow) }},
	KindCommandRefused:             {Name: "oms.outcome.CommandRefused", Class: OutcomeClass, New: func() Message { return new(CommandRefused) }},
	KindCommandRepeated:            {Name: "oms.outcome.CommandRepeated", Class: OutcomeClass, New: func() Message { return new(CommandRepeated) }},
	KindSecretAdopted:              {Name: "oms.ingest.SecretAdopted", Class: NoteClass, New: func() Message { return new(SecretAdopted) }},
}

func (*PlaceOrder) Kind() Kind                 { return KindPlaceOrder }
func (*CancelOrder) Kind() Kind                { return KindCancelOrder }
func (*RequestStatus) Kind() Kind              { return KindRequestStatus }
func (*StockReply) Kind() Kind                 { return KindStockReply }
func (*PaymentReply) Kind() Kind               { return KindPaymentReply }
func (*OrderDeadlineReached) Kind() Kind       { return KindOrderDeadlineReached }
func (*OrderCreated) Kind() Kind               { return KindOrderCreated }
func (*OrderConfirmed) Kind() Kind             { return KindOrderConfirmed }
func (*OrderRejected) Kind() Kind              { return KindOrderRejected }
func (*OrderExpired) Kind() Kind               { return KindOrderExpired }
func (*OrderCancellationRequested) Kind() Kind { return KindOrderCancellationRequested }
func (*OrderCancelled) Kind() Kind             { return KindOrderCancelled }
func (*OrderRow) Kind() Kind                   { return KindOrderRow }
func (*AuthorizePayment) Kind() Kind           { return KindAuthorizePayment }
func (*CapturePayment) Kind() Kind             { return KindCapturePayment }
func (*VoidPayment) Kind() Kind                { return KindVoidPayment }
func (*RefundPayment) Kind() Kind              { return KindRefundPayment }
func (*ReconcilePayment) Kind() Kind           { return KindReconcilePayment }
func (*CancelPayment) Kind() Kind              { return KindCancelPayment }
func (*PaymentProcessed) Kind() Kind           { return KindPaymentProcessed }
func (*AddProduct) Kind() Kind                 { return KindAddProduct }
func (*AdjustStock) Kind() Kind                { return KindAdjustStock }
func (*ReserveStock) Kind() Kind               { return KindReserveStock }
func (*ReleaseStock) Kind() Kind               { return KindReleaseStock }
func (*ProductAdded) Kind() Kind               { return KindProductAdded }
func (*InventoryUpdated) Kind() Kind           { return KindInventoryUpdated }
func (*InventoryLow) Kind() Kind               { return KindInventoryLow }
func (*BackInStock) Kind() Kind                { return KindBackInStock }
func (*ProductRow) Kind() Kind                 { return KindProductRow }
func (*RegisterCustomer) Kind() Kind           { return KindRegisterCustomer }
func (*LoginRow) Kind() Kind                   { return KindLoginRow }
func (*CreateCustomer) Kind() Kind             { return KindCreateCustomer }
func (*CustomerRegistered) Kind() Kind         { return KindCustomerRegistered }
func (*CustomerRow) Kind() Kind                { return KindCustomerRow }
func (*CommandRefused) Kind() Kind             { return KindCommandRefused }
func (*CommandRepeated) Kind() Kind            { return KindCommandRepeated }
func (*SecretAdopted) Kind() Kind              { return KindSecretAdopted }

func (m *PlaceOrder) Key() string                 { return m.OrderID }
func (m *CancelOrder) Key() string                { return m.OrderID }
func (m *RequestStatus) Key() string              { return m.OrderID }
func (m *StockReply) Key() string                 { return m.OrderID }
func (m *PaymentReply) Key() string               { return m.OrderID }
func (m *OrderDeadlineReached) Key() string       { return m.OrderID }
func (m *OrderCreated) Key() string               { return m.OrderID }
func (m *OrderConfirmed) Key() string             { return m.OrderID }
func (m *OrderRejected) Key() string              { return m.OrderID }
func (m *OrderExpired) Key() string               { return m.OrderID }
func (m *OrderCancellationRequested) Key() string { return m.OrderID }
func (m *OrderCancelled) Key() string             { return m.OrderID }
func (m *OrderRow) Key() string                   { return m.OrderID }
func (m *AuthorizePayment) Key() string           { return m.OrderID }
func (m *CapturePayment) Key() string             { return m.OrderID }
func (m *VoidPayment) Key() string                { return m.OrderID }
func (m *RefundPayment) Key() string              { return m.OrderID }
func (m *ReconcilePayment) Key() string           { return m.OrderID }
func (m *CancelPayment) Key() string              { return m.OrderID }
func (m *PaymentProcessed) Key() string           { return m.OrderID }
func (m *AddProduct) Key() string                 { return ProductKey(m.Tenant, m.ProductID) }
func (m *AdjustStock) Key() string                { return ProductKey(m.Tenant, m.ProductID) }
func (m *ReserveStock) Key() string               { return ProductKey(m.Tenant, m.ProductID) }
func (m *ReleaseStock) Key() string               { return ProductKey(m.Tenant, m.ProductID) }
func (m *ProductAdded) Key() string               { return ProductKey(m.Tenant, m.ProductID) }
func (m *InventoryUpdated) Key() string           { return ProductKey(m.Tenant, m.ProductID) }
func (m *InventoryLow) Key() string               { return ProductKey(m.Tenant, m.ProductID) }
func (m *BackInStock) Key() string                { return ProductKey(m.Tenant, m.ProductID) }
func (m *ProductRow) Key() string                 { return ProductKey(m.Tenant, m.ProductID) }
func (m *RegisterCustomer) Key() string           { return m.LoginID }
func (m *LoginRow) Key() string                   { return m.LoginID }
func (m *CreateCustomer) Key() string             { return m.CustomerID }
func (m *CustomerRegistered) Key() string         { return m.CustomerID }
func (m *CustomerRow) Key() string                { return m.CustomerID }
func (m *CommandRefused) Key() string             { return m.Subject }
func (m *CommandRepeated) Key() string            { return m.Subject }
func (m *SecretAdopted) Key() string              { return m.Name }
