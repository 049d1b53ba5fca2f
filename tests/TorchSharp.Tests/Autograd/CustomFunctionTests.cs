using System.Diagnostics;
using TorchSharp;
using static TorchSharp.torch;

namespace Cluster.TorchSharp.Tests.Autograd;

public class CustomFunctionTests
{
    [Fact]
    public void Backward_OfAnIdentityHook_SeesEachUseBeforeAccumulationOnTheCallingThread()
    {
        using var scope = NewDisposeScope();
        var weight = nn.Parameter(ones(2));
        var seen = new List<(float Gradient, bool Accumulated, int Thread)>();
        GradientHook.Report = gradient =>
            seen.Add((gradient[0].item<float>(), weight.grad is not null && weight.grad[0].item<float>() != 0, Environment.CurrentManagedThreadId));

        var hooked = GradientHook.apply(weight);
        hooked.requires_grad.ShouldBeTrue();
        (hooked * 3).sum().backward();
        (GradientHook.apply(weight) * 4).sum().backward();

        seen.ShouldBe([(3, false, Environment.CurrentManagedThreadId), (4, true, Environment.CurrentManagedThreadId)]);
        weight.grad!.data<float>().ToArray().ShouldBe([7, 7]);
    }

    [Fact]
    public void Backward_OfOneResultUsedTwice_RunsOnceWithTheSum()
    {
        using var scope = NewDisposeScope();
        var weight = nn.Parameter(ones(1));
        var calls = new List<float>();
        GradientHook.Report = gradient => calls.Add(gradient[0].item<float>());

        var hooked = GradientHook.apply(weight);
        ((hooked * 2) + (hooked * 5)).backward();

        calls.ShouldBe([7f]);
    }

    [Fact]
    public void Backward_WithSavedTensorsAndData_GivesItsGradients()
    {
        using var scope = NewDisposeScope();
        var (left, right) = (full(1, 3f, requires_grad: true), full(1, 5f, requires_grad: true));

        ScaledProduct.apply(left, 2.0, right).backward();

        left.grad!.item<float>().ShouldBe(10f);
        right.grad!.item<float>().ShouldBe(6f);
    }

    [Fact]
    public void Backward_WhenASavedTensorChangedInPlace_FailsWithLibtorchsMessage()
    {
        using var scope = NewDisposeScope();
        var left = full(1, 3f, requires_grad: true);
        var right = full(1, 5f);
        string? message = null;
        GuardedProduct.OnError = exception => message = exception.Message;

        var product = GuardedProduct.apply(left, right);
        right.add_(1);
        product.backward();

        message.ShouldNotBeNull().ShouldContain("modified by an inplace operation");
    }

    [Fact]
    public void Apply_WithoutGradients_RecordsNothing()
    {
        using var scope = NewDisposeScope();
        var weight = nn.Parameter(ones(1));

        GradientHook.apply(ones(1)).requires_grad.ShouldBeFalse();
        using (no_grad()) GradientHook.apply(weight).requires_grad.ShouldBeFalse();
    }

    [Fact]
    public void Forward_ThatThrows_ThrowsToTheCaller()
    {
        using var scope = NewDisposeScope();
        var weight = nn.Parameter(ones(1));

        Should.Throw<FormatException>(() => Failing.apply(weight, true)).Message.ShouldBe("forward");
        is_grad_enabled().ShouldBeTrue();
    }

    [Fact]
    public void MultiTensorFunction_WithAnUnusedOutput_GetsZerosForIt()
    {
        using var scope = NewDisposeScope();
        var x = full(1, 3f, requires_grad: true);

        var outputs = PlusAndMinus.apply(x);
        (outputs[1] * 10).backward();

        PlusAndMinus.Seen.ShouldBe([0f, 10f]);
        x.grad!.item<float>().ShouldBe(-10f);
    }

    [Fact]
    public void Context_OnceTheGraphIsGone_IsReleased()
    {
        using var scope = NewDisposeScope();
        var (context, result) = Use();
        result.backward();
        result.Dispose();

        GC.Collect();
        GC.WaitForPendingFinalizers();
        context.IsAlive.ShouldBeFalse();

        [System.Runtime.CompilerServices.MethodImpl(System.Runtime.CompilerServices.MethodImplOptions.NoInlining)]
        static (WeakReference, Tensor) Use()
        {
            // What forward returned shares the node with apply's result: the node goes once both have.
            using var inner = NewDisposeScope();
            var payload = new object();
            ScaledProduct.Payload = payload;
            var product = ScaledProduct.apply(full(1, 3f, requires_grad: true), 2.0, full(1, 5f));
            ScaledProduct.Payload = null;
            return (new WeakReference(payload), product.MoveToOuterDisposeScope());
        }
    }

    /// <summary>The genuine package's behaviour, which callers must guard against: an exception cannot pass through libtorch.</summary>
    [Fact]
    public async Task Backward_ThatThrows_EndsTheProcess()
    {
        const string variable = "TORCHSHARP_TESTS_THROW_IN_BACKWARD";
        if (Environment.GetEnvironmentVariable(variable) is not null)
        {
            Failing.apply(nn.Parameter(ones(1)), false).backward();
            return;
        }
        var start = new ProcessStartInfo(Environment.ProcessPath!, ["--filter-method", "*" + nameof(Backward_ThatThrows_EndsTheProcess)])
        {
            UseShellExecute = false,
            RedirectStandardError = true,
            RedirectStandardOutput = true,
            Environment = { [variable] = "1", ["DOTNET_DbgEnableMiniDump"] = "0" }
        };
        using var child = Process.Start(start)!;
        var output = child.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        var errors = await child.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        await child.WaitForExitAsync(TestContext.Current.CancellationToken);

        (await output).ShouldNotContain("succeeded: 1");
        child.ExitCode.ShouldBe(134, errors); // 128 + SIGABRT
        errors.ShouldContain("An exception left the backward of a custom autograd function.");
    }

    private sealed class GradientHook : autograd.SingleTensorFunction<GradientHook>
    {
        [ThreadStatic] internal static Action<Tensor>? Report;

        public override string Name => nameof(GradientHook);

        public override Tensor forward(autograd.AutogradContext ctx, params object[] vars) => ((Tensor)vars[0]).alias();

        public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output)
        {
            Report?.Invoke(grad_output);
            return [grad_output];
        }
    }

    private sealed class ScaledProduct : autograd.SingleTensorFunction<ScaledProduct>
    {
        [ThreadStatic] internal static object? Payload;

        public override string Name => nameof(ScaledProduct);

        public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
        {
            var (left, scale, right) = ((Tensor)vars[0], (double)vars[1], (Tensor)vars[2]);
            ctx.save_for_backward([left, right]);
            ctx.save_data("scale", scale);
            if (Payload is not null) ctx.save_data("payload", Payload);
            return left * right * scale;
        }

        public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output)
        {
            var saved = ctx.get_saved_variables();
            var scale = (double)ctx.get_data("scale")!;
            return [grad_output * saved[1] * scale, null!, grad_output * saved[0] * scale];
        }
    }

    private sealed class GuardedProduct : autograd.SingleTensorFunction<GuardedProduct>
    {
        [ThreadStatic] internal static Action<Exception>? OnError;

        public override string Name => nameof(GuardedProduct);

        public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
        {
            ctx.save_for_backward([(Tensor)vars[1]]);
            return (Tensor)vars[0] * (Tensor)vars[1];
        }

        public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output)
        {
            try
            {
                return [grad_output * ctx.get_saved_variables()[0], null!];
            }
            catch (System.Runtime.InteropServices.ExternalException exception)
            {
                OnError!(exception);
                return [grad_output, null!];
            }
        }
    }

    private sealed class Failing : autograd.SingleTensorFunction<Failing>
    {
        public override string Name => nameof(Failing);

        public override Tensor forward(autograd.AutogradContext ctx, params object[] vars) =>
            (bool)vars[1] ? throw new FormatException("forward") : ((Tensor)vars[0]).alias();

        public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output) => throw new FormatException("backward");
    }

    private sealed class PlusAndMinus : autograd.MultiTensorFunction<PlusAndMinus>
    {
        [ThreadStatic] internal static float[]? Seen;

        public override string Name => nameof(PlusAndMinus);

        public override List<Tensor> forward(autograd.AutogradContext ctx, params object[] vars) =>
            [(Tensor)vars[0] + 1, -(Tensor)vars[0]];

        public override List<Tensor> backward(autograd.AutogradContext ctx, List<Tensor> grad_outputs)
        {
            Seen = [.. grad_outputs.Select(grad => grad.item<float>())];
            return [grad_outputs[0] - grad_outputs[1]];
        }
    }
}
