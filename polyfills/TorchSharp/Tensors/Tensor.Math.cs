using TorchSharp.Interop;

namespace TorchSharp;

public static partial class torch
{
    /// <summary>How a quotient is rounded.</summary>
    public enum RoundingMode
    {
        None,
        trunc,
        floor
    }

    /// <summary>Element-wise arithmetic. A name that ends in an underscore changes the tensor itself and returns it.</summary>
    public partial class Tensor
    {
        public Tensor abs() => Call("abs", this);
        public Tensor abs_() => Update("abs_", this);

        public Tensor add(Tensor target) => Call("add.Tensor", this, target);
        public Tensor add(Tensor target, Scalar alpha) => Call("add.Tensor", this, target, alpha);
        public Tensor add(Scalar scalar) => Call("add.Scalar", this, scalar);
        public Tensor add(Scalar scalar, Scalar alpha) => Call("add.Scalar", this, scalar, alpha);
        public Tensor add_(Tensor target) => Update("add_.Tensor", this, target);
        public Tensor add_(Tensor target, Scalar alpha) => Update("add_.Tensor", this, target, alpha);
        public Tensor add_(Scalar scalar) => Update("add_.Scalar", this, scalar);
        public Tensor add_(Scalar scalar, Scalar alpha) => Update("add_.Scalar", this, scalar, alpha);

        public Tensor sub(Tensor target) => Call("sub.Tensor", this, target);
        public Tensor sub(Scalar target) => Call("sub.Scalar", this, target);
        public Tensor sub_(Tensor target) => Update("sub_.Tensor", this, target);
        public Tensor sub_(Scalar target) => Update("sub_.Scalar", this, target);

        public Tensor mul(Tensor target) => Call("mul.Tensor", this, target);
        public Tensor mul(Scalar target) => Call("mul.Scalar", this, target);
        public Tensor mul_(Tensor target) => Update("mul_.Tensor", this, target);
        public Tensor mul_(Scalar target) => Update("mul_.Scalar", this, target);

        public Tensor div(Tensor target, RoundingMode rounding_mode = RoundingMode.None) =>
            rounding_mode == RoundingMode.None ? Call("div.Tensor", this, target) : Call("div.Tensor_mode", this, target, NameOf(rounding_mode));
        public Tensor div(Scalar target, RoundingMode rounding_mode = RoundingMode.None) =>
            rounding_mode == RoundingMode.None ? Call("div.Scalar", this, target) : Call("div.Scalar_mode", this, target, NameOf(rounding_mode));
        public Tensor div_(Tensor target, RoundingMode rounding_mode = RoundingMode.None) =>
            rounding_mode == RoundingMode.None ? Update("div_.Tensor", this, target) : Update("div_.Tensor_mode", this, target, NameOf(rounding_mode));
        public Tensor div_(Scalar target, RoundingMode rounding_mode = RoundingMode.None) =>
            rounding_mode == RoundingMode.None ? Update("div_.Scalar", this, target) : Update("div_.Scalar_mode", this, target, NameOf(rounding_mode));

        public Tensor remainder(Tensor target) => Call("remainder.Tensor", this, target);
        public Tensor remainder(Scalar scalar) => Call("remainder.Scalar", this, scalar);
        public Tensor floor_divide(Tensor other) => Call("floor_divide", this, other);

        /// <summary>this + value · tensor1 · tensor2</summary>
        public Tensor addcmul(Tensor tensor1, Tensor tensor2, Scalar value) => Call("addcmul", this, tensor1, tensor2, value);
        public Tensor addcmul_(Tensor tensor1, Tensor tensor2, Scalar value) => Update("addcmul_", this, tensor1, tensor2, value);

        /// <summary>this + value · tensor1 / tensor2</summary>
        public Tensor addcdiv(Tensor tensor1, Tensor tensor2, Scalar value) => Call("addcdiv", this, tensor1, tensor2, value);
        public Tensor addcdiv(Tensor tensor1, Tensor tensor2) => Call("addcdiv", this, tensor1, tensor2);
        public Tensor addcdiv_(Tensor tensor1, Tensor tensor2, Scalar value) => Update("addcdiv_", this, tensor1, tensor2, value);
        public Tensor addcdiv_(Tensor tensor1, Tensor tensor2) => Update("addcdiv_", this, tensor1, tensor2);

        /// <summary>this + weight · (end − this)</summary>
        public Tensor lerp(Tensor end, Tensor weight) => Call("lerp.Tensor", this, end, weight);
        public Tensor lerp_(Tensor end, Tensor weight) => Update("lerp_.Tensor", this, end, weight);

        public Tensor neg() => Call("neg", this);
        public Tensor neg_() => Update("neg_", this);
        public Tensor negative() => neg();
        public Tensor reciprocal() => Call("reciprocal", this);
        public Tensor reciprocal_() => Update("reciprocal_", this);

        public Tensor exp() => Call("exp", this);
        public Tensor exp_() => Update("exp_", this);
        public Tensor expm1() => Call("expm1", this);
        public Tensor log() => Call("log", this);
        public Tensor log_() => Update("log_", this);
        public Tensor log1p() => Call("log1p", this);
        public Tensor log2() => Call("log2", this);
        public Tensor log10() => Call("log10", this);
        public Tensor logsumexp(long dim, bool keepdim = false) => Call("logsumexp", this, new[] { dim }, keepdim);

        public Tensor pow(Tensor exponent) => Call("pow.Tensor_Tensor", this, exponent);
        public Tensor pow(Scalar exponent) => Call("pow.Tensor_Scalar", this, exponent);
        public Tensor pow_(Tensor exponent) => Update("pow_.Tensor", this, exponent);
        public Tensor pow_(Scalar exponent) => Update("pow_.Scalar", this, exponent);
        public Tensor square() => pow(2);
        public Tensor sqrt() => Call("sqrt", this);
        public Tensor sqrt_() => Update("sqrt_", this);
        public Tensor rsqrt() => Call("rsqrt", this);
        public Tensor rsqrt_() => Update("rsqrt_", this);

        public Tensor sign() => Call("sign", this);
        public Tensor ceil() => Call("ceil", this);
        public Tensor floor() => Call("floor", this);
        public Tensor floor_() => Update("floor_", this);
        public Tensor trunc() => Call("trunc", this);
        public Tensor round(long decimals = 0L) => Call("round.decimals", this, decimals);
        public Tensor sin() => Call("sin", this);
        public Tensor cos() => Call("cos", this);
        public Tensor tanh() => Call("tanh", this);
        public Tensor tanh_() => Update("tanh_", this);
        public Tensor sigmoid() => Call("sigmoid", this);
        public Tensor sigmoid_() => Update("sigmoid_", this);
        public Tensor relu() => Call("relu", this);
        public Tensor relu_() => Update("relu_", this);
        public Tensor relu6() => Call("relu6", this);
        public Tensor relu6_() => Update("relu6_", this);
        public Tensor softmax(long dim, ScalarType? dtype = null) => Call("softmax.int", this, dim, dtype);
        public Tensor log_softmax(long dim, ScalarType? dtype = null) => Call("log_softmax.int", this, dim, dtype);

        public Tensor clamp(Scalar? min = null, Scalar? max = null) => Call("clamp", this, min, max);
        public Tensor clamp_(Scalar? min = null, Scalar? max = null) => Update("clamp_", this, min, max);
        public Tensor clamp_max(Scalar max) => Call("clamp_max", this, max);
        public Tensor clamp_max_(Scalar max) => Update("clamp_max_", this, max);
        public Tensor clamp_min(Scalar min) => Call("clamp_min", this, min);
        public Tensor clamp_min_(Scalar min) => Update("clamp_min_", this, min);
        public Tensor maximum(Tensor other) => Call("maximum", this, other);
        public Tensor minimum(Tensor other) => Call("minimum", this, other);

        public Tensor fill_(Scalar value) => Update("fill_.Scalar", this, value);
        public Tensor zero_() => Update("zero_", this);

        public Tensor matmul(Tensor target) => Call("matmul", this, target);
        public Tensor mm(Tensor target) => Call("mm", this, target);
        public Tensor bmm(Tensor batch2) => Call("bmm", this, batch2);
        public Tensor mv(Tensor target) => Call("mv", this, target);
        public Tensor dot(Tensor target) => Call("dot", this, target);
        public Tensor outer(Tensor vec2) => Call("outer", this, vec2);

        /// <summary>beta · this + alpha · mat1 · mat2</summary>
        public Tensor addmm(Tensor mat1, Tensor mat2, float beta = 1, float alpha = 1) => Call("addmm", this, mat1, mat2, (double)beta, (double)alpha);
        public Tensor addmm_(Tensor mat1, Tensor mat2, float beta = 1, float alpha = 1) => Update("addmm_", this, mat1, mat2, (double)beta, (double)alpha);

        public Tensor bitwise_and(Tensor other) => Call("bitwise_and.Tensor", this, other);
        public Tensor bitwise_or(Tensor other) => Call("bitwise_or.Tensor", this, other);
        public Tensor bitwise_xor(Tensor other) => Call("bitwise_xor.Tensor", this, other);
        public Tensor bitwise_not() => Call("bitwise_not", this);
        public Tensor bitwise_left_shift(Tensor other) => Call("bitwise_left_shift.Tensor", this, other);
        public Tensor bitwise_right_shift(Tensor other) => Call("bitwise_right_shift.Tensor", this, other);
        public Tensor logical_and(Tensor other) => Call("logical_and", this, other);
        public Tensor logical_or(Tensor other) => Call("logical_or", this, other);
        public Tensor logical_not() => Call("logical_not", this);

        private static string NameOf(RoundingMode mode) => mode == RoundingMode.floor ? "floor" : "trunc";
    }
}
