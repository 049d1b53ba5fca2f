using TorchSharp;
using static TorchSharp.torch;

namespace Cluster.TorchSharp.Tests.DisposeScopes;

public class DisposeScopeTests
{
    [Fact]
    public void Scope_AtItsEnd_DisposesOfWhatItHolds()
    {
        Tensor inner, moved, detached;
        using (var outer = NewDisposeScope())
        {
            using (var scope = NewDisposeScope())
            {
                (inner, moved, detached) = (ones(1), ones(1), ones(1));
                scope.DisposablesCount.ShouldBe(3);
                moved.MoveToOuterDisposeScope().ShouldBeSameAs(moved);
                detached.DetachFromDisposeScope();
                scope.Contains(inner).ShouldBeTrue();
                scope.Contains(moved).ShouldBeFalse();
            }
            inner.IsInvalid.ShouldBeTrue();
            moved.IsInvalid.ShouldBeFalse();
            outer.Contains(moved).ShouldBeTrue();
        }
        moved.IsInvalid.ShouldBeTrue();
        detached.IsInvalid.ShouldBeFalse();
        detached.Dispose();
    }

    [Fact]
    public void MoveToOuter_FromTheOutermostScope_Detaches()
    {
        Tensor kept;
        using (NewDisposeScope()) kept = ones(1).MoveToOuterDisposeScope();

        kept.IsInvalid.ShouldBeFalse();
        kept.Dispose();
    }

    [Fact]
    public void Attach_TakesATensorFromAnotherScope()
    {
        using var outer = NewDisposeScope();
        var tensor = ones(1);
        using (var scope = NewDisposeScope())
        {
            scope.Attach(tensor);
            outer.DisposablesCount.ShouldBe(0);
        }
        tensor.IsInvalid.ShouldBeTrue();
    }

    [Fact]
    public void DisposeEverythingBut_KeepsOneInTheScope()
    {
        using var scope = NewDisposeScope();
        var (first, second) = (ones(1), ones(1));

        scope.DisposeEverythingBut(second).ShouldBeSameAs(second);

        first.IsInvalid.ShouldBeTrue();
        second.IsInvalid.ShouldBeFalse();
        scope.DisposablesView.ShouldBe([second]);
        scope.DisposeEverything();
        second.IsInvalid.ShouldBeTrue();
    }

    [Fact]
    public void Scopes_EndedOutOfOrder_LeaveTheInnerOneCurrent()
    {
        var outer = NewDisposeScope();
        var inner = NewDisposeScope();
        outer.Dispose();

        var tensor = ones(1);
        inner.Contains(tensor).ShouldBeTrue();
        inner.Dispose();
        tensor.IsInvalid.ShouldBeTrue();

        ones(1).DetachFromDisposeScope().Dispose();
        Should.Throw<ObjectDisposedException>(() => inner.DisposablesCount);
    }

    [Fact]
    public void Statistics_CountThisThreadsTensors()
    {
        OnAThreadOfItsOwn(() =>
        {
            var outside = ones(1);
            using (NewDisposeScope())
            {
                var detached = ones(1).DetachFromDisposeScope();
                ones(1).Dispose();
                _ = ones(1);
                detached.Dispose();
            }
            var counts = DisposeScopeManager.Statistics.TensorStatistics;
            counts.CreatedOutsideScopeCount.ShouldBe(1);
            counts.CreatedInScopeCount.ShouldBe(3);
            counts.DetachedFromScopeCount.ShouldBe(1);
            counts.DisposedInScopeCount.ShouldBe(2);
            counts.DisposedOutsideScopeCount.ShouldBe(1);
            counts.ThreadTotalLiveCount.ShouldBe(1);
            outside.Dispose();
            DisposeScopeManager.Statistics.ThreadTotalLiveCount.ShouldBe(0);
        });
    }

    [Fact]
    public void Scope_DoesNotHoldOtherThreadsTensors()
    {
        using var scope = NewDisposeScope();
        Tensor? other = null;
        OnAThreadOfItsOwn(() => other = ones(1));

        scope.Contains(other!).ShouldBeFalse();
        other!.Dispose();
    }

    [Fact]
    public void Parameter_TakesItsTensorsPlaceInTheScope()
    {
        using var scope = NewDisposeScope();
        var data = ones(2);

        var parameter = nn.Parameter(data);

        data.IsInvalid.ShouldBeTrue();
        scope.DisposablesView.ShouldBe([parameter]);
        parameter.requires_grad.ShouldBeTrue();
    }

    [Fact]
    public void Handle_OfADisposedTensor_IsRefused()
    {
        var tensor = ones(1);
        tensor.Dispose();
        tensor.Dispose();

        Should.Throw<InvalidOperationException>(() => tensor.Handle).Message.ShouldBe("Tensor invalid -- empty handle.");
        Should.Throw<InvalidOperationException>(() => tensor + 1);
    }

    private static void OnAThreadOfItsOwn(Action action)
    {
        Exception? failure = null;
        var thread = new Thread(() =>
        {
            try
            {
                action();
            }
            catch (Exception exception)
            {
                failure = exception;
            }
        });
        thread.Start();
        thread.Join();
        if (failure is not null) System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(failure);
    }
}
