package schemas

// FillPolicy: what happens to an order of which a line cannot be had.
type FillPolicy string

const (
	FillPolicyAllOrNothing  FillPolicy = "ALL_OR_NOTHING"
	FillPolicyShipAvailable FillPolicy = "SHIP_AVAILABLE"
	FillPolicyBackorder     FillPolicy = "BACKORDER"
	FillPolicyAsk           FillPolicy = "ASK"
)

// CapturePolicy: when authorized money is taken.
type CapturePolicy string

const (
	CapturePolicyAtPlacing CapturePolicy = "AT_PLACING"
	CapturePolicyLater     CapturePolicy = "LATER"
)

// PaymentMethod: how the buyer pays.
type PaymentMethod string

const (
	PaymentMethodCard     PaymentMethod = "CARD"
	PaymentMethodPaypal   PaymentMethod = "PAYPAL"
	PaymentMethodRazorpay PaymentMethod = "RAZORPAY"
	PaymentMethodUpi      PaymentMethod = "UPI"
	PaymentMethodInvoice  PaymentMethod = "INVOICE"
	PaymentMethodGiftCard PaymentMethod = "GIFT_CARD"
)

// OrderStatus: life of an order.
type OrderStatus string

const (
	OrderStatusUnknown        OrderStatus = "UNKNOWN"
	OrderStatusDraft          OrderStatus = "DRAFT"
	OrderStatusPending        OrderStatus = "PENDING"
	OrderStatusOnHold         OrderStatus = "ON_HOLD"
	OrderStatusActionRequired OrderStatus = "ACTION_REQUIRED"
	OrderStatusConfirmed      OrderStatus = "CONFIRMED"
	OrderStatusCompleted      OrderStatus = "COMPLETED"
	OrderStatusCancelling     OrderStatus = "CANCELLING"
	OrderStatusCancelled      OrderStatus = "CANCELLED"
	OrderStatusRejected       OrderStatus = "REJECTED"
	OrderStatusExpired        OrderStatus = "EXPIRED"
	OrderStatusClosed         OrderStatus = "CLOSED"
)

// LineStatus: life of an order line.
type LineStatus string

const (
	LineStatusOpen        LineStatus = "OPEN"
	LineStatusReserved    LineStatus = "RESERVED"
	LineStatusRejected    LineStatus = "REJECTED"
	LineStatusReleased    LineStatus = "RELEASED"
	LineStatusBackordered LineStatus = "BACKORDERED"
	LineStatusCancelled   LineStatus = "CANCELLED"
)

// Reason: why an order or a line was refused, in order of precedence.
type Reason string

const (
	ReasonNone                Reason = "NONE"
	ReasonUnknownProduct      Reason = "UNKNOWN_PRODUCT"
	ReasonNotForSale          Reason = "NOT_FOR_SALE"
	ReasonCurrencyMismatch    Reason = "CURRENCY_MISMATCH"
	ReasonPriceChanged        Reason = "PRICE_CHANGED"
	ReasonOutOfStock          Reason = "OUT_OF_STOCK"
	ReasonTotalChanged        Reason = "TOTAL_CHANGED"
	ReasonTotalOverLimit      Reason = "TOTAL_OVER_LIMIT"
	ReasonPaymentDeclined     Reason = "PAYMENT_DECLINED"
	ReasonPaymentUnavailable  Reason = "PAYMENT_UNAVAILABLE"
	ReasonExpired             Reason = "EXPIRED"
	ReasonCancelledByCustomer Reason = "CANCELLED_BY_CUSTOMER"
	ReasonCancelledByStaff    Reason = "CANCELLED_BY_STAFF"
)

// StockOutcome: what became of a line at its product.
type StockOutcome string

const (
	StockOutcomeRejected    StockOutcome = "REJECTED"
	StockOutcomeReserved    StockOutcome = "RESERVED"
	StockOutcomeBackordered StockOutcome = "BACKORDERED"
	StockOutcomeReleased    StockOutcome = "RELEASED"
)

// PaymentStatus: life of one payment.
type PaymentStatus string

const (
	PaymentStatusCreated           PaymentStatus = "CREATED"
	PaymentStatusAuthorizing       PaymentStatus = "AUTHORIZING"
	PaymentStatusRequiresAction    PaymentStatus = "REQUIRES_ACTION"
	PaymentStatusAuthorized        PaymentStatus = "AUTHORIZED"
	PaymentStatusCapturing         PaymentStatus = "CAPTURING"
	PaymentStatusCaptured          PaymentStatus = "CAPTURED"
	PaymentStatusDeclined          PaymentStatus = "DECLINED"
	PaymentStatusUnknown           PaymentStatus = "UNKNOWN"
	PaymentStatusVoiding           PaymentStatus = "VOIDING"
	PaymentStatusVoided            PaymentStatus = "VOIDED"
	PaymentStatusAuthExpired       PaymentStatus = "AUTH_EXPIRED"
	PaymentStatusRefunding         PaymentStatus = "REFUNDING"
	PaymentStatusPartiallyRefunded PaymentStatus = "PARTIALLY_REFUNDED"
	PaymentStatusRefunded          PaymentStatus = "REFUNDED"
	PaymentStatusDisputed          PaymentStatus = "DISPUTED"
)

// PaymentOperation: what a provider was asked to do.
type PaymentOperation string

const (
	PaymentOperationAuthorize PaymentOperation = "AUTHORIZE"
	PaymentOperationCapture   PaymentOperation = "CAPTURE"
	PaymentOperationVoid      PaymentOperation = "VOID"
	PaymentOperationRefund    PaymentOperation = "REFUND"
	PaymentOperationReconcile PaymentOperation = "RECONCILE"
	PaymentOperationCancel    PaymentOperation = "CANCEL"
)

// PaymentOutcome: what a provider did. UNKNOWN: asked, no answer. UNAVAILABLE: never reached it. NOT_FOUND: it does not know the request. REFUSED: it rejects the request itself.
type PaymentOutcome string

const (
	PaymentOutcomeUnknown        PaymentOutcome = "UNKNOWN"
	PaymentOutcomeUnavailable    PaymentOutcome = "UNAVAILABLE"
	PaymentOutcomeNotFound       PaymentOutcome = "NOT_FOUND"
	PaymentOutcomeRefused        PaymentOutcome = "REFUSED"
	PaymentOutcomeDeclined       PaymentOutcome = "DECLINED"
	PaymentOutcomeRequiresAction PaymentOutcome = "REQUIRES_ACTION"
	PaymentOutcomeAuthorized     PaymentOutcome = "AUTHORIZED"
	PaymentOutcomeCaptured       PaymentOutcome = "CAPTURED"
	PaymentOutcomeVoided         PaymentOutcome = "VOIDED"
	PaymentOutcomeRefunded       PaymentOutcome = "REFUNDED"
	PaymentOutcomeCancelled      PaymentOutcome = "CANCELLED"
)

// Movement: kind of a stock movement.
type Movement string

const (
	MovementAdjusted  Movement = "ADJUSTED"
	MovementReserved  Movement = "RESERVED"
	MovementReleased  Movement = "RELEASED"
	MovementReceived  Movement = "RECEIVED"
	MovementShipped   Movement = "SHIPPED"
	MovementRestocked Movement = "RESTOCKED"
)

// AdjustMode: how quantity is meant.
type AdjustMode string

const (
	AdjustModeSet   AdjustMode = "SET"
	AdjustModeDelta AdjustMode = "DELTA"
)

// Family: the key space that an outcome belongs to.
type Family string

const (
	FamilyOrder    Family = "ORDER"
	FamilyProduct  Family = "PRODUCT"
	FamilyCustomer Family = "CUSTOMER"
	FamilyLogin    Family = "LOGIN"
)

// RefusalCode: why a command was refused, in order of precedence.
type RefusalCode string

const (
	RefusalCodeUnspecified         RefusalCode = "UNSPECIFIED"
	RefusalCodeDeadLettered        RefusalCode = "DEAD_LETTERED"
	RefusalCodeKeyReused           RefusalCode = "KEY_REUSED"
	RefusalCodeNotFound            RefusalCode = "NOT_FOUND"
	RefusalCodeVersionMismatch     RefusalCode = "VERSION_MISMATCH"
	RefusalCodeIllegalTransition   RefusalCode = "ILLEGAL_TRANSITION"
	RefusalCodeProductExists       RefusalCode = "PRODUCT_EXISTS"
	RefusalCodeEmailTaken          RefusalCode = "EMAIL_TAKEN"
	RefusalCodeOnHandBelowReserved RefusalCode = "ON_HAND_BELOW_RESERVED"
	RefusalCodeQuantityOverflow    RefusalCode = "QUANTITY_OVERFLOW"
)
