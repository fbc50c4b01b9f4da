package schemas

import "reflect"

// enums lists the symbols of every enum, for samples.
var enums = map[reflect.Type][]string{
	reflect.TypeFor[FillPolicy]():       {"ALL_OR_NOTHING", "SHIP_AVAILABLE", "BACKORDER", "ASK"},
	reflect.TypeFor[CapturePolicy]():    {"AT_PLACING", "LATER"},
	reflect.TypeFor[PaymentMethod]():    {"CARD", "PAYPAL", "RAZORPAY", "UPI", "INVOICE", "GIFT_CARD"},
	reflect.TypeFor[OrderStatus]():      {"UNKNOWN", "DRAFT", "PENDING", "ON_HOLD", "ACTION_REQUIRED", "CONFIRMED", "COMPLETED", "CANCELLING", "CANCELLED", "REJECTED", "EXPIRED", "CLOSED"},
	reflect.TypeFor[LineStatus]():       {"OPEN", "RESERVED", "REJECTED", "RELEASED", "BACKORDERED", "CANCELLED"},
	reflect.TypeFor[Reason]():           {"NONE", "UNKNOWN_PRODUCT", "NOT_FOR_SALE", "CURRENCY_MISMATCH", "PRICE_CHANGED", "OUT_OF_STOCK", "TOTAL_CHANGED", "TOTAL_OVER_LIMIT", "PAYMENT_DECLINED", "PAYMENT_UNAVAILABLE", "EXPIRED", "CANCELLED_BY_CUSTOMER", "CANCELLED_BY_STAFF"},
	reflect.TypeFor[StockOutcome]():     {"REJECTED", "RESERVED", "BACKORDERED", "RELEASED"},
	reflect.TypeFor[PaymentStatus]():    {"CREATED", "AUTHORIZING", "REQUIRES_ACTION", "AUTHORIZED", "CAPTURING", "CAPTURED", "DECLINED", "UNKNOWN", "VOIDING", "VOIDED", "AUTH_EXPIRED", "REFUNDING", "PARTIALLY_REFUNDED", "REFUNDED", "DISPUTED"},
	reflect.TypeFor[PaymentOperation](): {"AUTHORIZE", "CAPTURE", "VOID", "REFUND", "RECONCILE", "CANCEL"},
	reflect.TypeFor[PaymentOutcome]():   {"UNKNOWN", "UNAVAILABLE", "NOT_FOUND", "REFUSED", "DECLINED", "REQUIRES_ACTION", "AUTHORIZED", "CAPTURED", "VOIDED", "REFUNDED", "CANCELLED"},
	reflect.TypeFor[Movement]():         {"ADJUSTED", "RESERVED", "RELEASED", "RECEIVED", "SHIPPED", "RESTOCKED"},
	reflect.TypeFor[AdjustMode]():       {"SET", "DELTA"},
	reflect.TypeFor[Family]():           {"ORDER", "PRODUCT", "CUSTOMER", "LOGIN"},
	reflect.TypeFor[RefusalCode]():      {"UNSPECIFIED", "DEAD_LETTERED", "KEY_REUSED", "NOT_FOUND", "VERSION_MISMATCH", "ILLEGAL_TRANSITION", "PRODUCT_EXISTS", "EMAIL_TAKEN", "ON_HAND_BELOW_RESERVED", "QUANTITY_OVERFLOW"},
}
